"""moto's answers, and those of the operations which it lacks."""

from __future__ import annotations

import json

from moto.fis.exceptions import ResourceNotFoundException
from moto.fis.responses import FISResponse

from pytest_envdr.sandbox.control_plane.fis import action


class SandboxFisResponse(FISResponse):
    """The one action that is done here can be looked up."""

    def get_action(self) -> str:
        """GetAction."""
        name = self._get_param("id")
        if name != action.DISRUPT:
            raise ResourceNotFoundException(f"Action {name} does not exist")
        return json.dumps({"action": action.DESCRIPTION})

    def list_actions(self) -> str:
        """ListActions: those that can be done here."""
        shown = {name: action.DESCRIPTION[name] for name in ("id", "description", "targets", "tags")}
        return json.dumps({"actions": [shown]})
