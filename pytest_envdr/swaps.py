"""Acts on databases of the stack's server, journalled as calls of AWS are, and what brings the state before back.

A database that is changed is dumped first, into the directory of the journal: the file is what undoing it loads. It
holds a customer's data, and goes with the drill. Names of operations are "mariadb.<Verb>"; `left` says what of an
inverse is still to be done, `perform` does it.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_envdr import dumps, mariadb
from pytest_envdr.aws import rds, secretsmanager
from pytest_envdr.dumps import Dump
from pytest_envdr.errors import EnvdrError, Refused, UndoFailed
from pytest_envdr.journal import Inverse
from pytest_envdr.mariadb import Server, quoted
from pytest_envdr.verify import database as verify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Entry, Journal

DROP, LOAD, RESUME = "mariadb.DropDatabase", "mariadb.LoadDatabase", "mariadb.ResumeTenant"
FORGET = "mariadb.ForgetDump"
OPERATIONS = frozenset({DROP, FORGET, LOAD, RESUME})
OWN = re.compile(r"_envdr_[0-9a-f]{6}(_damaged|_before)?$")
"""How the names of databases end that a drill makes; no other is ever dropped."""


@dataclass(frozen=True)
class Safety:
    """A database as it was before a drill changed it: its dump, and the digest of what is not in `spared` tables."""

    dump: Dump
    digest: str
    spared: tuple[str, ...]


def server(aws: Aws) -> Server:
    """The stack's database server.

    Raises:
        NotFound: there is no such instance or secret.
        EnvdrError: the instance has no endpoint (yet).
    """
    aws.stack.needs("database")
    row = aws.stack.database
    if row is None:  # for the type checker: `needs` refused it
        raise EnvdrError("There is no database in the stack file.")
    instance = rds.instance(aws, row.instance)
    if not instance.host:
        raise EnvdrError(f"Instance {row.instance} is {instance.status} and has no endpoint.")
    login = secretsmanager.login(aws, row.secret)
    return Server(instance.host, instance.port, login.user, login.password)


def own_name(exercise: str, database: str, *, end: str = "") -> str:
    """What a drill's own copy of a database is called; at most 64 characters, as MariaDB takes them. `end` is "",
    "_damaged" or "_before"."""
    own = f"_envdr_{exercise[-6:]}{end}"
    return database[: 64 - len(own)] + own


def dumped(journal: Journal, there: Server, database: str) -> Dump:
    """A database as it is now, as a file beside the journal that only this user may read, and that the undo takes away.

    Raises:
        EnvdrError: it could not be dumped.
    """
    path = journal.path.with_name(f"{journal.header.exercise}-{secrets.token_hex(4)}.sql")
    arguments = {"database": database, "path": str(path)}
    inverse = Inverse(FORGET, arguments, f"no dump of {database} on this machine")
    with journal.intending("mariadb.DumpDatabase", arguments, inverse=inverse):
        path.touch(mode=0o600)
        return dumps.dump(there, database, path)


def kept(aws: Aws, journal: Journal, database: str, *, spared: Sequence[str]) -> Safety:
    """A database as it is now, to be brought back by it.

    Raises:
        EnvdrError: it could not be dumped.
    """
    there = server(aws)
    return Safety(dumped(journal, there, database), digest(there, database, spared=spared), tuple(spared))


def digest(there: Server, database: str, *, spared: Sequence[str]) -> str:
    """A hash over all of a database but its spared tables; "" where it is not there."""
    return verify.digests(lambda: mariadb.connect(there), [database], declared=spared).get(database, "")


def bring_in(aws: Aws, journal: Journal, dump: Dump, database: str) -> None:
    """Load a dump under a name of the drill's own, beside what is there.

    Raises:
        Refused: by its name nobody would know that it is a drill's own, and the undo would leave it.
        EnvdrError: it could not be loaded.
    """
    if not OWN.search(database):
        raise Refused(f"{database} is not loaded: by its name it is no drill's own.")
    inverse = Inverse(DROP, {"database": database}, f"no database {database}")
    with journal.intending(LOAD, {"database": database, "sha256": dump.sha256}, inverse=inverse):
        dumps.load(server(aws), dump, database)


def change(aws: Aws, journal: Journal, database: str, statements: Sequence[str], *, safety: Safety) -> None:
    """Run statements on a database that `safety` holds as it was."""
    with (
        journal.intending("mariadb.Execute", {"statements": [*statements]}, inverse=_as_it_was(database, safety)),
        mariadb.session(server(aws)) as cursor,
    ):
        for statement in statements:
            cursor.execute(statement)


def replace(aws: Aws, journal: Journal, dump: Dump, database: str, *, safety: Safety) -> None:
    """Put what a dump holds in the place of a database that `safety` holds as it was."""
    arguments = {"database": database, "sha256": dump.sha256}
    with journal.intending(LOAD, arguments, inverse=_as_it_was(database, safety)):
        dumps.load(server(aws), dump, database)


def quiesce(aws: Aws, journal: Journal) -> None:
    """Take the drill's tenant out of service, so that nobody writes to its data; `resume` puts it back."""
    row = aws.stack.drill_tenant
    if row is None:
        raise EnvdrError("There is no drill_tenant in the stack file.")
    inverse = Inverse(RESUME, {"slug": row.slug}, f"tenant {row.slug} in service")
    with journal.intending("mariadb.QuiesceTenant", {"slug": row.slug}, inverse=inverse):
        _run_central(aws, row.quiesce, row.slug)


def in_service(aws: Aws, slug: str) -> bool:
    """Whether the drill's tenant is in service."""
    row = aws.stack.drill_tenant
    return row is not None and bool(_run_central(aws, row.active, slug))


def left(aws: Aws, operation: str, before: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """The arguments of what is still to be done to undo an act; nothing where all is as before.

    Raises:
        UndoFailed: it must not be done.
    """
    if operation == RESUME:
        return () if in_service(aws, before["slug"]) else (dict(before),)
    if operation == FORGET:
        return (dict(before),) if Path(before["path"]).exists() else ()
    database = before["database"]
    if operation == DROP:
        if not OWN.search(database):
            raise UndoFailed(f"database {database} is not dropped: by its name it is no drill's own")
        return (dict(before),) if _is_there(server(aws), database) else ()
    same = digest(server(aws), database, spared=before["spared"]) == before["digest"]
    return () if same else (dict(before),)


def perform(aws: Aws, operation: str, arguments: Mapping[str, Any]) -> None:
    """Undo an act, as `left` said."""
    row = aws.stack.drill_tenant
    if operation == RESUME and row is not None:
        _run_central(aws, row.resume, arguments["slug"])
    elif operation == DROP:
        with mariadb.session(server(aws)) as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {quoted(arguments['database'])}")
    elif operation == FORGET:
        Path(arguments["path"]).unlink(missing_ok=True)
    elif operation == LOAD:
        told = arguments["dump"]
        dumps.load(server(aws), Dump(**{**told, "path": Path(told["path"])}), arguments["database"])


def check_unneeded(entry: Entry, owed: Sequence[Entry]) -> None:
    """Refuse to take a dump away that another act is still to be undone by.

    Raises:
        UndoFailed: says which.
    """
    if entry.inverse.operation != FORGET:
        return
    path = entry.inverse.arguments["path"]
    for other in owed:
        if other.inverse.arguments.get("dump", {}).get("path") == path:
            raise UndoFailed(f"{path} is kept: {other.inverse.restores} is still owed, and only this file brings it")


def forget(void: Sequence[Entry]) -> None:
    """Take away the dumps of acts that need no undo any more, because their sandbox has ended."""
    for entry in void:
        if entry.inverse.operation == FORGET:
            Path(entry.inverse.arguments["path"]).unlink(missing_ok=True)


def _as_it_was(database: str, safety: Safety) -> Inverse:
    told = {**asdict(safety.dump), "path": str(safety.dump.path)}
    arguments = {"database": database, "dump": told, "digest": safety.digest, "spared": [*safety.spared]}
    return Inverse(LOAD, arguments, f"database {database} as it was")


def _run_central(aws: Aws, statement: str, slug: str) -> Any:
    """The first value of what the central database answers; None where there is none."""
    row = aws.stack.database
    with mariadb.session(server(aws), database=row.central if row else None) as cursor:
        cursor.execute(statement, (slug,))
        found = cursor.fetchone()
    return found[0] if found else None


def _is_there(there: Server, database: str) -> bool:
    with mariadb.session(there) as cursor:
        cursor.execute("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", (database,))
        return cursor.fetchone() is not None
