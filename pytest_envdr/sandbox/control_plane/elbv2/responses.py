"""Where moto's elbv2 drops something between the backend and the answer."""

from __future__ import annotations

from moto.core.responses import ActionResult
from moto.elbv2.responses import ELBV2Response


class SandboxELBv2Response(ELBV2Response):
    """moto's, where it answers with less than AWS does."""

    def modify_target_group_attributes(self) -> ActionResult:
        """All attributes of the group; moto gives back those of the request."""
        super().modify_target_group_attributes()
        group = self.elbv2_backend.target_groups[self._get_param("TargetGroupArn")]
        return ActionResult({"Attributes": group.attributes})
