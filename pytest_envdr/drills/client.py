"""The client outside, whose answers say what an outage is."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytest_envdr.drills.recovery import PROOFS
from pytest_envdr.errors import Refused, WaitTimedOut
from pytest_envdr.probe import Probe, check_for, samples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_envdr.drills import Drill
    from pytest_envdr.probe import Sample
    from pytest_envdr.stack import Service

BASELINE_SECONDS = 30.0
"""How long a service may take to answer well before anything is touched."""


@contextmanager
def asking(drill: Drill, row: Service) -> Iterator[Probe]:
    """A client that goes on asking a service, each of its answers told to the evidence."""

    def tell(sample: Sample) -> None:
        answer = sample.answer
        drill.add(
            "probe",
            clock=sample.sent,
            ok=answer.ok,
            status=answer.status,
            error=answer.error,
            milliseconds=round(sample.seconds * 1000, 1),
            value_ok=answer.value_ok,
        )

    with Probe(check_for(row.probe), sink=tell) as probe:
        yield probe


def await_baseline(drill: Drill, probe: Probe, row: Service) -> None:
    """A service that does not answer well before cannot be seen to recover.

    Raises:
        Refused: it does not.
    """
    began = drill.clock.monotonic()
    try:
        drill.wait_until(
            lambda: sum(sample.answer.proof for sample in samples.row(probe.samples, since=began)),
            lambda proofs: proofs >= PROOFS,
            what=f"{PROOFS} good answers of {row.name} in a row",
            deadline=BASELINE_SECONDS,
            longest_interval=0.5,
        )
    except WaitTimedOut as error:
        lost = samples.outage(probe.samples, since=began)
        raise Refused(
            f"Nothing was touched: {row.name} does not answer a client before the drill either: {lost.failures}.\n"
            f"Looked at: {row.probe.kind} probe, {row.probe.url}{row.probe.path}\nTo go on: mend the service."
        ) from error
