"""Application Auto Scaling's answers where moto's lack an operation or say less."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.cloudwatch.models import cloudwatch_backends
from typing_extensions import override

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_plane.application_autoscaling.backend import SandboxApplicationAutoScaling

PAGE = 50


class SandboxApplicationAutoScalingResponse(ApplicationAutoScalingResponse):
    """In front of `SandboxApplicationAutoScaling`."""

    @property
    def sandbox(self) -> SandboxApplicationAutoScaling:
        return cast("SandboxApplicationAutoScaling", self.applicationautoscaling_backend)

    def describe_scaling_activities(self) -> str:
        """DescribeScalingActivities: newest first; not scaled activities are not recorded."""
        asked: dict[str, Any] = json.loads(self.body)
        filters = {"namespace": "ServiceNamespace", "resource": "ResourceId", "dimension": "ScalableDimension"}
        found = [
            activity
            for activity in reversed(self.sandbox.activities)
            if all(asked.get(name) in (None, getattr(activity, member)) for member, name in filters.items())
        ]
        first, size = int(asked.get("NextToken") or 0), int(asked.get("MaxResults") or PAGE)
        following = {"NextToken": str(first + size)} if len(found) > first + size else {}
        page = [activity.shown() for activity in found[first : first + size]]
        return json.dumps({"ScalingActivities": page, **following})

    @override
    def describe_scaling_policies(self) -> str:
        """DescribeScalingPolicies: with the alarms that drive a policy, whoever made them."""
        answer = json.loads(super().describe_scaling_policies())
        names: list[str] = json.loads(self.body).get("PolicyNames") or []
        policies = [each for each in answer["ScalingPolicies"] if not names or each["PolicyName"] in names]
        alarms = list(cloudwatch_backends[self.current_account][self.region].alarms.values())
        for policy in policies:
            policy["Alarms"] = [
                {"AlarmName": alarm.name, "AlarmARN": alarm.alarm_arn}
                for alarm in alarms
                if any(action.startswith(policy["PolicyARN"]) for action in _actions(alarm))
            ]
        return json.dumps({**answer, "ScalingPolicies": policies})

    @override
    def describe_scheduled_actions(self) -> str:
        """DescribeScheduledActions without the members that were not given."""
        answer = json.loads(super().describe_scheduled_actions())
        actions = [
            {key: value for key, value in each.items() if value is not None} for each in answer["ScheduledActions"]
        ]
        return json.dumps({"ScheduledActions": actions})


def _actions(alarm: Any) -> list[str]:
    return [*alarm.alarm_actions, *alarm.ok_actions, *alarm.insufficient_data_actions]
