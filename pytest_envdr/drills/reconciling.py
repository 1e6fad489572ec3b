"""Three stores with three recovery points: what a recovered tenant's database and its bucket say of one another.

A row that names an object which is not there, and an object that no row names, are told both ways (aws-semantics 2.5).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_envdr import mariadb
from pytest_envdr.aws import s3
from pytest_envdr.mariadb import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_envdr.aws import Aws
    from pytest_envdr.mariadb import Server


@dataclass(frozen=True)
class Orphan:
    """One half of a pair whose other half is missing: `kind` is "row without object" or "object without row"."""

    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


def documents(aws: Aws, server: Server, database: str, *, bucket: str, query: str) -> list[Orphan]:
    """Rows of a tenant's database that point at nothing in its bucket, and objects that no row points at.

    Objects are looked for under the first parts of the keys that rows name ("documents/"): what else is in the bucket
    is not the database's business.

    Args:
        aws: the account.
        server: where the tenant's database is.
        database: its name.
        bucket: the tenant's.
        query: rows of (key); where it is "" there is nothing to reconcile.
    """
    if not query:
        return []
    with mariadb.session(server, database=database) as cursor:
        cursor.execute(query)
        named = {str(row[0]) for row in cursor.fetchall() if row[0]}
    prefixes = sorted({key.partition("/")[0] + "/" for key in named if "/" in key})
    there = {one.key for prefix in prefixes for page in s3.object_pages(aws, bucket, prefix=prefix) for one in page}
    return [
        *(Orphan("row without object", key) for key in sorted(named - there)),
        *(Orphan("object without row", key) for key in sorted(there - named)),
    ]


def failed_jobs(server: Server, central: str, words: Sequence[str]) -> list[str]:
    """The failed jobs whose payload names the tenant: what they refer to may not exist any longer.

    In Laravel all that concerns queues stays in the central database, whoever it is for (aws-semantics 2.6).
    """
    with mariadb.session(server) as cursor:
        cursor.execute(
            "SELECT 1 FROM information_schema.tables WHERE table_schema = %s AND table_name = 'failed_jobs'", (central,)
        )
        if cursor.fetchone() is None:
            return []
        cursor.execute(f"SELECT uuid, queue, failed_at, payload FROM {quoted(central)}.failed_jobs")  # noqa: S608
        return [f"{uuid} of {queue}, {at}" for uuid, queue, at, payload in cursor.fetchall() if _names(payload, words)]


def _names(payload: str, words: Iterable[str]) -> bool:
    """Whether a payload has one of the words in it, as it is or as JSON writes it."""
    return any(word in payload or json.dumps(word)[1:-1] in payload for word in words)
