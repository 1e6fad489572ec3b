"""Whether the data of a restored server are whole: the central database, that of every tenant, and nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pytest_envdr import mariadb
from pytest_envdr.drills import Finding
from pytest_envdr.verify import database as verify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_envdr.drills import Drill
    from pytest_envdr.mariadb import Server
    from pytest_envdr.tables import Database

WHOLE = ("missing-database", "extra-database")
"""Kinds of differences that are told as a tenant's."""
SHOWN = 5
"""How many differences a finding quotes; all are in the table."""
SYSTEM = frozenset({"mysql", "information_schema", "performance_schema", "sys", "innodb"})


@dataclass(frozen=True)
class Known:
    """Whose data there should be: the stack file's row, and slug -> database as source and copy say."""

    row: Database
    source: Mapping[str, str]
    restored: Mapping[str, str]


@dataclass(frozen=True)
class Integrity:
    """What is wrong with the data of a restored server.

    Attributes:
        missing_tenants: databases of tenants that did not come back.
        extra_tenants: databases that belong to nobody whom the source or the copy knows.
        differences: what is damaged or differs from the source.
    """

    missing_tenants: list[str]
    extra_tenants: list[str]
    differences: list[verify.Difference]


def databases(server: Server) -> set[str]:
    """All databases of a server but its own."""
    with mariadb.session(server) as cursor:
        cursor.execute("SHOW DATABASES")
        return {str(row[0]) for row in cursor.fetchall()} - SYSTEM


def check(drill: Drill, source: Server, restored: Server, known: Known, *, reset: bool) -> Integrity:
    """Compare a restored server with its source, but for the tables of `declared_writes`; what is wrong is a finding.

    Args:
        drill: told of findings and tables.
        source: what it was restored from; it must be quiet but for the declared tables.
        restored: the copy.
        known: whose data there should be.
        reset: whether the copy was given another master password.
    """
    differences = _compared(source, restored, known, reset=reset)
    there, before = databases(restored), databases(source)
    wanted = {known.row.central, *known.source.values(), *known.restored.values()}
    found = Integrity(
        sorted(wanted - there),
        sorted(there - wanted - before),
        [one for one in differences if one.kind not in WHOLE or one.database not in wanted | (there - before)],
    )
    _tell(drill, found, compared=len(before & there))
    return found


def _compared(source: Server, restored: Server, known: Known, *, reset: bool) -> list[verify.Difference]:
    """With `reset` the master's password counts no longer: it was set to the secret's on purpose."""
    options = verify.Options(
        declared=frozenset(known.row.declared_writes),
        accounts=True,
        any_password=frozenset({source.user} if reset else ()),
    )
    return list(verify.compare(partial(mariadb.connect, source), partial(mariadb.connect, restored), options=options))


def _tell(drill: Drill, found: Integrity, *, compared: int) -> None:
    kinds = Counter(one.kind for one in found.differences)
    drill.table(
        "Integrity",
        ("database", "table", "where", "kind", "expected", "found"),
        [(one.database, one.table, one.where, one.kind, one.expected, one.actual) for one in found.differences],
        caption=f"{compared} databases compared: CHECK TABLE, schema, views, routines, triggers, events, grants, row "
        f"counts and content. {len(found.differences)} differences.",
    )
    for name in found.missing_tenants:
        drill.finding(
            Finding(
                "database.tenant-missing", "failure", f"database {name} did not come back", "", "Look at the backup."
            )
        )
    for name in found.extra_tenants:
        title = f"database {name} came back and belongs to nobody"
        drill.finding(
            Finding("database.tenant-extra", "failure", title, "", "Look at who made it, and where it is used.")
        )
    if found.differences:
        what = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        drill.finding(
            Finding(
                "database.content",
                "failure",
                f"what was restored is not what the source holds: {what}",
                _quoted(found.differences),
                "Compare those rows; a table that is written to while the drill runs belongs to declared_writes.",
            )
        )


def _quoted(differences: Sequence[verify.Difference]) -> str:
    more = len(differences) - SHOWN
    return " ".join(map(str, differences[:SHOWN])) + (f" And {more} more." if more > 0 else "")
