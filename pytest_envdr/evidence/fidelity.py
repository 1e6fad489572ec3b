"""How far the API answers of a drill can be believed: the guard against vacuous passes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_envdr.evidence.rows import Fidelity, Proves

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_envdr.evidence.events import Event

WORDS = ("acted", "simulated", "stored", "undeclared")
_HTTP_ERROR = 400


def weigh(calls: Iterable[Event], proves: Proves) -> Fidelity:
    """The calls counted by what stood behind their answers.

    `unproven`: not one answer that succeeded was acted out by a real part. AWS declares nothing, and each of its
    answers is real.
    """
    operations: dict[str, Counter[str]] = {}
    real = 0
    for call in calls:
        word = _word(call)
        operations.setdefault(f"{call.data.get('service')}.{call.data.get('operation')}", Counter())[word] += 1
        real += _succeeded(call) and (word == "acted" or (word == "undeclared" and proves is Proves.RECOVERY))
    return _row(operations, unproven=not real)


def total(parts: Iterable[Fidelity]) -> Fidelity:
    """Several drills as one; one that is unproven leaves the whole unproven."""
    operations: dict[str, Counter[str]] = {}
    several = list(parts)
    for part in several:
        for operation, counts in part.operations.items():
            operations.setdefault(operation, Counter()).update(counts)
    return _row(operations, unproven=not several or any(part.unproven for part in several))


def _row(operations: dict[str, Counter[str]], *, unproven: bool) -> Fidelity:
    acted, simulated, stored, undeclared = (sum(counts[word] for counts in operations.values()) for word in WORDS)
    ordered = {
        name: {word: counts[word] for word in WORDS if counts[word]} for name, counts in sorted(operations.items())
    }
    return Fidelity(acted, simulated, stored, undeclared, unproven, ordered)


def _word(call: Event) -> str:
    word = str(call.data.get("fidelity") or "undeclared")
    return word if word in WORDS else "undeclared"


def _succeeded(call: Event) -> bool:
    status = call.data.get("status")
    return isinstance(status, int) and status < _HTTP_ERROR and not call.data.get("error")
