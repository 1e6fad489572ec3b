"""How far data came back, told by numbered rows that the application writes all the time (aws-semantics 1.7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

import pymysql

from pytest_envdr import mariadb
from pytest_envdr.drills import Finding, RecoveryPoint
from pytest_envdr.mariadb import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_envdr.drills import Drill
    from pytest_envdr.mariadb import Server
    from pytest_envdr.tables import Heartbeat

READ = 3600
"""How many heartbeats are read of a database, the newest: an hour, with one a second."""
NO_SUCH = (1049, 1146)
"""Unknown database, no such table: no heartbeat there."""


@dataclass(frozen=True)
class Beats:
    """A database's heartbeats as they were read at one instant: sequence -> when it was written, ascending."""

    rows: Mapping[int, datetime]

    @property
    def newest(self) -> int | None:
        return max(self.rows, default=None)

    def until(self, instant: datetime) -> Beats:
        """Those that were written by then."""
        return Beats({number: at for number, at in self.rows.items() if at <= instant})

    @property
    def apart_seconds(self) -> float:
        """How far two of them are apart: the median of the last ten, since one may have been left out for a reason."""
        instants = [at for _, at in sorted(self.rows.items())][-10:]
        gaps = [(later - at).total_seconds() for at, later in pairwise(instants)]
        return median(gaps) if gaps else 0.0


@dataclass(frozen=True)
class Loss:
    """What of a database's heartbeats did not come back.

    Attributes:
        database: whose.
        newest: the newest number that survived; None where none did.
        at: when that was written.
        lost: how many were written after it, up to the fault.
        rpa_seconds: from `at` to the fault.
        missing: numbers that the source has, older than `newest`, and the copy has not.
        error_seconds: what two are apart.
    """

    database: str
    newest: int | None
    at: datetime | None
    lost: int
    rpa_seconds: float | None
    missing: tuple[int, ...]
    error_seconds: float

    def point(self, source: str) -> RecoveryPoint:
        """For the report; `source` is what it was restored from."""
        when = f"heartbeat {self.newest} of {self.at:%H:%M:%S.%f} UTC" if self.at else "no heartbeat"
        return RecoveryPoint(f"database {self.database}", self.rpa_seconds, when, self.lost, self.error_seconds, source)


def read(server: Server, databases: Iterable[str], heartbeat: Heartbeat) -> dict[str, Beats]:
    """The heartbeats of each database, as far as it has any."""
    with mariadb.session(server) as cursor:
        return {database: _beats(cursor, database, heartbeat) for database in databases}


def losses(before: Mapping[str, Beats], restored: Mapping[str, Beats], fault: datetime) -> list[Loss]:
    """What did not come back, of each database that had heartbeats at the fault."""
    return [
        _loss(database, beats, restored.get(database, Beats({})), fault)
        for database, beats in before.items()
        if beats.rows
    ]


def check_losses(
    drill: Drill, found: Sequence[Loss], *, central: str, source: str, fault: datetime, word: str = "database"
) -> list[Loss]:
    """Tell the losses: the recovery point of the central database and of the worst tenant, a table of all, and a
    finding where one is beyond the objective, or has a hole; their ids begin with `word`. Those with a finding are
    returned."""
    drill.table(
        "Recovery points",
        ("database", "newest that survived", "written at", "RPA, s", "lost up to the fault", "holes"),
        [
            (
                one.database,
                one.newest,
                f"{one.at:%H:%M:%S.%f}" if one.at else "-",
                _seconds(one),
                one.lost,
                len(one.missing),
            )
            for one in found
        ],
        caption=f"Heartbeats up to the fault at {fault:%H:%M:%S.%f} UTC.",
    )
    tenants = [one for one in found if one.database != central]
    worst = max(tenants, key=_badness, default=None)
    told = [one for one in found if one.database == central] + ([worst] if worst else [])
    for one in told:
        drill.recovery_point(one.point(source))
    rpo, bad = drill.rpo_of(source), []
    for one in found:
        findings = _findings(one, rpo, word)
        bad += [one] if findings else []
        for finding in findings:
            drill.finding(finding)
    return bad


def _findings(one: Loss, rpo: float, word: str) -> list[Finding]:
    found = []
    if one.rpa_seconds is None or one.rpa_seconds > rpo:
        found.append(
            Finding(
                f"{word}.recovery-point",
                "failure",
                f"database {one.database} lost more than is promised",
                f"RPA {_seconds(one)} s, RPO {rpo:g} s; {one.lost} heartbeats lost",
                "Back it up more often, or restore to a point in time.",
            )
        )
    if one.missing:
        shown = ", ".join(map(str, one.missing[:10]))
        found.append(
            Finding(
                f"{word}.heartbeat-gap",
                "failure",
                f"database {one.database} has a hole in what came back",
                f"{len(one.missing)} heartbeats are missing that are older than the newest: {shown}",
                "A backup must hold all up to one instant, and nothing after it.",
            )
        )
    return found


def _badness(one: Loss) -> float:
    return float("inf") if one.rpa_seconds is None else one.rpa_seconds


def _seconds(one: Loss) -> str:
    return "unknown" if one.rpa_seconds is None else f"{one.rpa_seconds:.1f}"


def _loss(database: str, before: Beats, restored: Beats, fault: datetime) -> Loss:
    newest = max((number for number in restored.rows), default=None)
    if newest is None:
        return Loss(database, None, None, len(before.rows), None, (), before.apart_seconds)
    at = restored.rows[newest]
    return Loss(
        database,
        newest,
        at,
        max(0, max(before.rows) - newest),
        max(0.0, (fault - at).total_seconds()),
        _holes(before, restored),
        before.apart_seconds,
    )


def _holes(before: Beats, restored: Beats) -> tuple[int, ...]:
    """Numbers that are missing in the copy below its newest; not those that the source, as far back as it goes, has
    not either."""
    oldest = min(before.rows)
    span = range(min(restored.rows), max(restored.rows))
    return tuple(
        number for number in span if number not in restored.rows and (number < oldest or number in before.rows)
    )


def _beats(cursor: pymysql.cursors.Cursor, database: str, heartbeat: Heartbeat) -> Beats:
    table = f"{quoted(database)}.{quoted(heartbeat.table)}"
    try:
        if heartbeat.query is not None:
            cursor.execute(f"USE {quoted(database)}")
            cursor.execute(heartbeat.query)
        else:
            query = "SELECT sequence, UNIX_TIMESTAMP(written_at) FROM {} ORDER BY sequence DESC LIMIT {}"
            cursor.execute(query.format(table, READ))
        return Beats({int(row[0]): datetime.fromtimestamp(float(row[1]), UTC) for row in cursor.fetchall()})
    except pymysql.MySQLError as error:
        if error.args and error.args[0] in NO_SUCH:
            return Beats({})
        raise
