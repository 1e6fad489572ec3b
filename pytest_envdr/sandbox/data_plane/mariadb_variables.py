"""A server's system variables: what a parameter group says, before a start and while the server runs."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pymysql

from pytest_envdr.errors import PartFailed
from pytest_envdr.sandbox.data_plane.mariadb import as_user, program
from pytest_envdr.settings import search_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_envdr.sandbox.data_plane.mariadb import MariaDB

CHECK_SECONDS = 30.0
STATEMENT_SECONDS = 10.0
READ_ONLY = 1238
"""ER_INCORRECT_GLOBAL_LOCAL_VAR: "Variable '...' is a read only variable"."""
NUMBER = re.compile(r"-?\d+(\.\d+)?")
SIZED = re.compile(r"(\d+)([KMGT])", re.IGNORECASE)


def check(variables: Mapping[str, str]) -> None:
    """Ask the server's program whether it starts with these variables, without starting. Blocks for 50 ms.

    It takes a number that is out of range for the nearest one, as RDS's own checks would not.

    Raises:
        PartFailed: it does not know a variable, or does not take a value: which, and why, in the program's words.
        MissingProgram: MariaDB is not installed.
    """
    options = [f"--{name}={value}" for name, value in variables.items()]
    answer = subprocess.run(
        [program("mariadbd"), "--no-defaults", *as_user(), *options, "--verbose", "--help"],
        env={"PATH": search_path()},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=CHECK_SECONDS,
        check=False,
    )
    complaints = [line.partition("[ERROR] ")[2] for line in answer.stderr.splitlines() if "[ERROR] " in line]
    if answer.returncode or complaints:
        words = "\n".join(complaint for complaint in complaints if complaint != "Aborting")
        raise PartFailed(f"MariaDB cannot start with these variables: {words or f'code {answer.returncode}'}")


def set_variables(server: MariaDB, variables: Mapping[str, str]) -> tuple[str, ...]:
    """Set variables of a running server for the sessions that begin from now on; not for its next start.

    Returns:
        The names of those that cannot be set while it runs: they need `server.variables` and a restart.

    Raises:
        PartFailed: the server does not know a variable or does not take a value, or did not answer. Those before it,
            in the order given, are set.
    """
    static = []
    try:
        with server.connect_as_operator(timeout=STATEMENT_SECONDS) as connection, connection.cursor() as cursor:
            for name, value in variables.items():
                try:
                    cursor.execute(f"SET GLOBAL `{_folded(name)}` = {_literal(value)}")
                except pymysql.MySQLError as error:
                    if error.args[0] != READ_ONLY:
                        raise
                    static.append(name)
    except (pymysql.MySQLError, OSError) as error:
        raise PartFailed(f"A variable of the MariaDB at {server.address} could not be set: {error}") from error
    return tuple(static)


def _folded(name: str) -> str:
    """Options are written with hyphens or underscores, variables with underscores only."""
    return name.replace("-", "_").replace("`", "``")


def _literal(value: str) -> str:
    """A value as a parameter group has it, as SQL: a number is one, and has no K, M, G there."""
    sized = SIZED.fullmatch(value)
    if sized:
        return str(int(sized[1]) << 10 * ("KMGT".index(sized[2].upper()) + 1))
    if NUMBER.fullmatch(value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
