"""What an alarm does when its state changes: tells topics, drives scaling policies; each attempt goes into the history.

In a thread of its own, in order: a topic may have an HTTP subscriber that takes its time, and the loop must not wait.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from moto.applicationautoscaling.models import applicationautoscaling_backends
from moto.core.exceptions import ServiceException
from moto.sns.models import sns_backends
from requests import RequestException
from werkzeug.exceptions import HTTPException

from pytest_envdr.sandbox.control_plane.application_autoscaling import SandboxApplicationAutoScaling, Trigger
from pytest_envdr.sandbox.control_plane.cloudwatch import wording

if TYPE_CHECKING:
    from concurrent.futures import Future

    from moto.cloudwatch.models import Alarm

    from pytest_envdr.sandbox.control_plane.cloudwatch.backend import Change, SandboxCloudWatch

SCALING = ":autoscaling:"

log = logging.getLogger("envdr.sandbox")


def actions_of(alarm: Alarm, state: str) -> list[str]:
    """The actions configured for a state; none while they are disabled."""
    lists = {
        "ALARM": alarm.alarm_actions,
        "OK": alarm.ok_actions,
        "INSUFFICIENT_DATA": alarm.insufficient_data_actions,
    }
    return list(lists[state]) if alarm.actions_enabled else []


class Courier:
    """Carries actions out, one after the other."""

    def __init__(self, account: str, region: str) -> None:
        self._account, self._region = account, region
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="alarm-actions")

    def announce(self, backend: SandboxCloudWatch, change: Change) -> None:
        """Run the actions of a state change, soon."""
        for action in actions_of(change.alarm, change.new):
            self._thread.submit(self._perform, backend, change, action).add_done_callback(_report)

    def repeat(self, alarm: Alarm, value: float | None) -> None:
        """Drive scaling policies again: CloudWatch does at each evaluation as long as the alarm stays in the state."""
        for action in actions_of(alarm, alarm.state_value):
            if SCALING in action:
                trigger = Trigger(alarm.name, alarm.state_value, float(alarm.threshold), value)
                self._thread.submit(self._scale, action, trigger).add_done_callback(_report)

    def close(self) -> None:
        """Stop; what is not begun is dropped."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _perform(self, backend: SandboxCloudWatch, change: Change, action: str) -> None:
        message = wording.message(
            change.alarm,
            account=self._account,
            region=self._region,
            old=change.old,
            new=change.new,
            reason=change.reason,
            at=change.at,
        )
        error = self._try(change, action, message)
        summary = f"Failed to execute action {action}. Received error: {error}" if error else None
        data = {
            "actionState": "Failed" if error else "Succeeded",
            "stateUpdateTimestamp": int(wording.epoch(change.at) * 1000),
            "notificationResource": action,
            **({"publishedMessage": message} if ":sns:" in action else {}),
            "error": error,
        }
        now = datetime.now(UTC).replace(tzinfo=None)
        backend.record(change.alarm, "Action", summary or f"Successfully executed action {action}", data, at=now)

    def _try(self, change: Change, action: str, message: str) -> str | None:
        """Carry one action out; what went wrong, or None."""
        try:
            if ":sns:" in action:
                subject = wording.subject(change.alarm, change.new, self._region)
                sns_backends[self._account][action.split(":")[3]].publish(message, action, subject=subject)
            elif SCALING in action:
                alarm = change.alarm
                self._scale(action, Trigger(alarm.name, change.new, float(alarm.threshold), change.value))
            else:
                return "the sandbox does not have this kind of action"
        except (ServiceException, HTTPException, RequestException, LookupError, ValueError) as error:
            return str(error)
        return None

    def _scale(self, policy: str, trigger: Trigger) -> None:
        backend = applicationautoscaling_backends[self._account][self._region]
        if isinstance(backend, SandboxApplicationAutoScaling):
            backend.execute_policy(policy, trigger)


def _report(done: Future[None]) -> None:
    if not done.cancelled() and (error := done.exception()):
        log.error("alarm action: %s", error, exc_info=error)
