"""Who may do what: the accounts of a server and their grants, without a secret in them."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from pytest_envdr.errors import UsageError
from pytest_envdr.verify.database.connecting import name
from pytest_envdr.verify.database.manifest import Manifest

if TYPE_CHECKING:
    from pytest_envdr.verify.database.connecting import Connections, Session
    from pytest_envdr.verify.database.options import Options

PASSWORD = " with password "  # noqa: S105 (words before its digest)

SECRET = re.compile(r" IDENTIFIED (?:BY PASSWORD|VIA \S+ USING) '([^']*)'")


def of(side: Connections | Manifest, options: Options) -> dict[str, str]:
    """The grants of each account, by "user@host", a line each.

    Raises:
        UsageError: a manifest that was made without accounts.
        pymysql.MySQLError: `mysql.user` may not be read.
    """
    if isinstance(side, Manifest):
        if not side.accounts:
            raise UsageError("The manifest was made without accounts, so they cannot be compared.")
        return {name: _without(lines, name, options) for name, lines in side.accounts.items()}
    with side.lent() as session:
        found = _grants(session, options)
    return {name: _without(lines, name, options) for name, lines in found.items()}


def _grants(session: Session, options: Options) -> dict[str, str]:
    users = [
        (str(user), str(host))
        for user, host in session.rows("SELECT user, host FROM mysql.user ORDER BY user, host")
        if user not in options.ignored_accounts
    ]
    answers = session.results(f"SHOW GRANTS FOR {_account(*user)}" for user in users) if users else []
    return {
        f"{user}@{host}": "\n".join(sorted(SECRET.sub(_digested, str(row[0])) for row in rows))
        for (user, host), rows in zip(users, answers, strict=True)
    }


def _account(user: str, host: str) -> str:
    """A role has no host."""
    quoted = [f"{name(part)}" for part in (user, host) if part]
    return "@".join(quoted)


def _digested(match: re.Match[str]) -> str:
    """The password's hash is a secret itself: a digest of it tells as well that it has changed."""
    return f"{PASSWORD}{hashlib.sha256(match[1].encode()).hexdigest()[:8]}"


def _without(lines: str, account: str, options: Options) -> str:
    """Without the password, where it does not count."""
    user = account.rpartition("@")[0]
    return re.sub(f"{PASSWORD}[0-9a-f]+", "", lines) if user in options.any_password else lines
