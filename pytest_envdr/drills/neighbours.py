"""Those who must not notice: every other tenant's database and the central one, and what of them is in a copy."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pymysql

from pytest_envdr import mariadb
from pytest_envdr.verify import database as verify

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pymysql.cursors import Cursor

    from pytest_envdr.mariadb import Server

SOURCES = {
    "view": "SELECT table_name, view_definition FROM information_schema.views WHERE table_schema = %s",
    "routine": "SELECT routine_name, routine_definition FROM information_schema.routines WHERE routine_schema = %s",
    "trigger": "SELECT trigger_name, action_statement FROM information_schema.triggers WHERE trigger_schema = %s",
    "event": "SELECT event_name, event_definition FROM information_schema.events WHERE event_schema = %s",
    "foreign key": "SELECT constraint_name, unique_constraint_schema FROM information_schema.referential_constraints"
    " WHERE constraint_schema = %s",
}
"""Kind of object -> rows of (name, text in which another database may be named)."""


def digests(server: Server, databases: Collection[str], *, spared: Sequence[str]) -> dict[str, str]:
    """A digest of each database, without the rows of `spared` tables; of one that is not there, none."""
    return verify.digests(partial(mariadb.connect, server), sorted(databases), declared=spared)


def disturbed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The databases that are not what they were, in words."""
    gone = [f"{name} is gone" for name in before if name not in after]
    new = [f"{name} is new" for name in after if name not in before]
    return [
        *gone,
        *new,
        *(f"{name} is not what it was" for name in before if after.get(name, before[name]) != before[name]),
    ]


def foreign(server: Server, database: str, *, slug: str, identity: str, others: Collection[str]) -> list[str]:
    """What in a copy of a tenant's database is another's, in words.

    Args:
        server: where the copy is.
        database: the copy.
        slug: whose it is to be.
        identity: asked of it: one value, the slug; "" where no row tells.
        others: the names of the databases that are not the tenant's.
    """
    with mariadb.session(server, database=database) as cursor:
        found = _identified(cursor, slug, identity)
        for kind, query in SOURCES.items():
            cursor.execute(query, (database,))
            for name, text in cursor.fetchall():
                named = [other for other in others if _names(str(text), other)]
                found += [f"{kind} {name} names {other}" for other in named]
    return found


def _identified(cursor: Cursor, slug: str, identity: str) -> list[str]:
    if not identity:
        return []
    try:
        cursor.execute(identity)
    except pymysql.MySQLError as error:
        return [f"it does not say whose it is: {error}"]
    row = cursor.fetchone()
    told = str(row[0]) if row and row[0] is not None else ""
    return [] if told == slug else [f"it says of itself that it is {told or 'nobody'}'s"]


def _names(text: str, database: str) -> bool:
    return mariadb.quoted(database) in text or text == database or f"{database}." in text
