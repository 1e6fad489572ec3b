"""How much of an inverse is still to be done, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

OWN_PREFIX = "envdr-"
"""How the names of all begin that a drill creates beside the stack."""


@dataclass(frozen=True)
class Remaining:
    """What is still to be done: the arguments of each call; `note` says why there is less than one might expect;
    `awaited`: it is not done yet, though there is nothing to call (any more)."""

    calls: tuple[dict[str, Any], ...] = ()
    note: str = ""
    awaited: bool = False

    @property
    def done(self) -> bool:
        return not self.calls and not self.awaited


NOTHING = Remaining()
