"""What it is for a Region to be cut off (FIS): nothing of it answers, and nothing of it moves on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_loop import Controller
    from pytest_envdr.sandbox.world import World


@runtime_checkable
class Freezable(Protocol):
    """A controller that has real parts."""

    def freeze(self) -> None:
        """Stop all of them in their tracks. Idempotent: it is called at each pass, for some may just have started."""

    def thaw(self) -> None:
        """Let them run on; that they did not answer meanwhile is no fault of theirs."""


class InRegion:
    """A controller that rests, and whose parts are frozen, while its Region is cut off."""

    def __init__(self, world: World, controller: Controller) -> None:
        self._world, self._controller = world, controller
        self._frozen = False

    def step(self) -> None:
        """The controller's step, or none."""
        parts = self._controller if isinstance(self._controller, Freezable) else None
        if self._world.cut_off:
            self._frozen = True
            if parts:
                parts.freeze()
            return
        if self._frozen:
            self._frozen = False
            if parts:
                parts.thaw()
        self._controller.step()

    def close(self) -> None:
        """Stop the real parts, frozen ones too."""
        self._controller.close()
