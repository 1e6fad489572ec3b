"""What must be true of a tenant's recovered data: each criterion in a function, each failure a finding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pytest_envdr import mariadb
from pytest_envdr.drills import Finding, heartbeats
from pytest_envdr.verify import database as verify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.heartbeats import Beats
    from pytest_envdr.drills.reconciling import Orphan
    from pytest_envdr.mariadb import Server
    from pytest_envdr.verify.database import Difference

SHOWN = 5


@dataclass(frozen=True)
class Copy:
    """What a tenant's copy was found to be: how it differs from what was restored, and what in it is another's."""

    differences: list[Difference]
    foreign: list[str]


@dataclass(frozen=True)
class Recovery:
    """A tenant that is back. Seconds, on the client's clock.

    Attributes:
        rta_seconds: from the damage to verified.
        rpa_seconds: from the newest heartbeat that survived to the damage; infinite where none did.
        differences: where the tenant is not what was restored.
        disturbed: databases of others that are not what they were, in words.
        orphans: documents and rows that lost one another since the drill began.
        lost: what was there before the damage and is not any longer.
    """

    rta_seconds: float
    rpa_seconds: float
    differences: list[Difference]
    disturbed: list[str]
    orphans: list[Orphan]
    lost: list[Difference]


def compared(
    expected: Server, name: str, actual: Server, other: str, *, spared: Sequence[str] = ()
) -> list[verify.Difference]:
    """How a database differs from another one, of another name and maybe on another server."""
    found = verify.compare(
        partial(mariadb.connect, expected),
        partial(mariadb.connect, actual),
        {name: other},
        # A dump is loaded by who may not create objects in another's name.
        options=verify.Options(declared=frozenset(spared), definers=False),
    )
    return list(found)


def tell_differences(drill: Drill, found: Sequence[Difference], *, id_: str, title: str, remedy: str) -> None:
    """A finding, and a table with all of them; nothing where there are none."""
    if found:
        drill.table(title, ("difference",), [(str(one),) for one in found])
        drill.finding(Finding(id_, "failure", title, _some(found), remedy))


def tell_foreign(drill: Drill, found: Sequence[str], copy: str) -> None:
    """A finding where a copy holds what is another's."""
    if found:
        title = f"{copy} holds what is not the tenant's"
        drill.finding(Finding("tenant.foreign", "failure", title, _some(found), "Do not swap it in."))


def tell_disturbed(drill: Drill, found: Sequence[str]) -> None:
    """A finding where others were not left in peace."""
    if found:
        title = "Databases of others changed while one tenant was recovered"
        remedy = "Compare them with the restored copy. Tables that the application writes to belong in declared_writes."
        drill.finding(Finding("tenant.neighbour", "failure", title, _some(found), remedy))


def tell_orphans(drill: Drill, before: Sequence[Orphan], after: Sequence[Orphan]) -> list[Orphan]:
    """Those that are new since the drill began, as a failure; those that were there already, as a warning."""
    new = [orphan for orphan in after if orphan not in before]
    if after:
        rows = [(orphan.kind, orphan.what, "before the drill" if orphan in before else "new") for orphan in after]
        drill.table("Documents without their other half", ("kind", "key", "since"), rows)
    if new:
        title = "Recovered rows and the tenant's bucket do not agree"
        drill.finding(
            Finding("tenant.orphans", "failure", title, _some(new), "Recover the bucket to the same instant.")
        )
    elif after:
        title = "Rows and bucket of the tenant did not agree before the drill either"
        drill.finding(Finding("tenant.orphans-before", "warning", title, _some(after)))
    return new


def tell_jobs(drill: Drill, jobs: Sequence[str]) -> None:
    """Failed jobs of the tenant: whoever retries them must know that the data are another instant's."""
    if jobs:
        title = "Failed jobs name the tenant: what they refer to may not exist any longer"
        drill.finding(Finding("tenant.jobs", "warning", title, _some(jobs), "Look at each before `queue:retry`."))


def tell_loss(drill: Drill, database: str, before: Beats, survived: Beats, *, fault: datetime, source: str) -> float:
    """The recovery point, from the tenant's heartbeats before the damage and those that survived. Gives the RPA in
    seconds; infinite where none survived."""
    found = heartbeats.losses({database: before}, {database: survived}, fault)
    heartbeats.check_losses(drill, found, central="", source=source, fault=fault, word="tenant")
    rpa = drill.rpa_seconds
    return float("inf") if rpa is None else rpa


def tell_lost(drill: Drill, lost: Sequence[Difference]) -> None:
    """The loss window, listed: no failure, if the recovery point is as promised."""
    rows = [(str(one),) for one in lost]
    drill.table("What the tenant lost", ("difference from just before the damage",), rows, caption="Heartbeats aside.")


def neighbours_table(drill: Drill, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Digests of all others before and after, for the auditor."""
    rows = [(name, before.get(name, "-"), after.get(name, "-")) for name in sorted({*before, *after})]
    drill.table("Databases of others", ("database", "digest before", "digest after"), rows)


def _some(found: Sequence[object]) -> str:
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return "; ".join(str(one) for one in found[:SHOWN]) + more
