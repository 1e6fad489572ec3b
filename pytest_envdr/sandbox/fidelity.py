"""How far an API answer can be believed: the guard against vacuous passes.

Every operation that a control plane module answers itself is declared in that module's `FIDELITY`; everything else is
`stored`, which is what moto does when left alone.
"""

from __future__ import annotations

from enum import StrEnum

HEADER = "x-envdr-fidelity"


class Fidelity(StrEnum):
    """What stands behind an answer."""

    ACTED = "acted"
    """A real part: freeze it, and the answer changes or fails."""
    SIMULATED = "simulated"
    """Our state machine, driven by what really happened, but with nothing real of its own."""
    STORED = "stored"
    """moto keeps what it was told and gives it back."""


ACTED, SIMULATED, STORED = Fidelity.ACTED, Fidelity.SIMULATED, Fidelity.STORED
