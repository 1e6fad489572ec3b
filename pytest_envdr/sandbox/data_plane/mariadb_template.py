"""Filled data directories, made once and copied afterwards: a new server with its content in a tenth of a second."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pytest_envdr.errors import PartFailed
from pytest_envdr.sandbox.data_plane.mariadb import SIZE, MariaDB, as_user, master_user, program, version
from pytest_envdr.settings import search_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pymysql.connections import Connection
    from pymysql.cursors import Cursor

    Connect: TypeAlias = Callable[[], Connection[Cursor]]

READY_SECONDS = 30.0
LOAD_SECONDS = 600.0
INSTALL_SECONDS = 60.0
STOP_SECONDS = 60.0
UNUSED_SECONDS = 14 * 24 * 3600.0


@dataclass(frozen=True)
class Content:
    """What a server holds when it starts for the first time.

    Attributes:
        fingerprint: differs whenever the content does.
        owner: the user that writes it, and so the definer of its triggers, events, routines and views.
        load: writes it, over as many connections as it opens with the function that it is given.
    """

    fingerprint: str
    owner: str
    load: Callable[[Connect], None]


EMPTY = Content("empty", "admin", lambda _connect: None)
"""What `CreateDBInstance` gives."""


def lay_out(content: Content, target: Path, *, cache: Path | None, address: str) -> None:
    """Fill `target`, a data directory that is not there yet. Blocks: a tenth of a second with a warm cache.

    Args:
        content: what it shall hold.
        target: the data directory to make.
        cache: where filled directories are kept between runs; shared by all sandboxes. None for nowhere.
        address: where the server that writes the content may listen.

    Raises:
        MissingProgram: MariaDB is not installed.
        PartFailed: the content could not be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if cache is None:
        _make(content, target, address)
        return
    template = cache / f"mariadb-{_key(content)}"
    if not template.is_dir() and _make_once(content, template, target, address):
        return
    _copy(template, target)
    os.utime(template)


def _key(content: Content) -> str:
    parts = "\0".join([version(), *SIZE, content.owner, content.fingerprint])
    return f"{version()}-{hashlib.sha256(parts.encode()).hexdigest()[:16]}"


def _make_once(content: Content, template: Path, target: Path, address: str) -> bool:
    """Make both, unless another sandbox makes the template meanwhile; whether `target` was made.

    Sandboxes that start together wait for the one that makes it. A half-made template never bears the name.
    """
    template.parent.mkdir(parents=True, exist_ok=True)
    with _locked(template.with_name(f"{template.name}.lock")):
        if template.is_dir():
            return False
        _make(content, target, address)
        half = template.with_name(f"{template.name}.half")
        _copy(target, half)
        half.rename(template)
        os.utime(template)
        _forget_unused(template.parent)
        return True


def _forget_unused(cache: Path) -> None:
    """Drop the templates that no sandbox took for a long time: each version of the schema makes new ones."""
    for template in cache.glob("mariadb-*"):
        if template.is_dir() and time.time() - template.stat().st_mtime > UNUSED_SECONDS:
            shutil.rmtree(template, ignore_errors=True)


def _make(content: Content, data: Path, address: str) -> None:
    _install(data)
    if content is EMPTY:
        return
    server = MariaDB(data, address=address)
    password = "template"  # noqa: S105 (the instance's own password replaces it before the first client is let in)
    # No binary log: what the content was made of is not the instance's history.
    server.start(master_user(content.owner, password), options=["--skip-log-bin", "--event-scheduler=OFF"])
    try:
        server.wait_until_ready(deadline=READY_SECONDS)
        content.load(functools.partial(server.connect, content.owner, password, timeout=LOAD_SECONDS))
        server.execute(["SET GLOBAL innodb_fast_shutdown = 0"], timeout=READY_SECONDS)
    finally:
        server.stop(grace=STOP_SECONDS)
        server.log.unlink(missing_ok=True)


def _install(data: Path) -> None:
    """The system tables. Temporary ones lie beside the data: a server that starts removes all it finds in its place."""
    command = [
        program("mariadb-install-db"),
        "--no-defaults",
        *as_user(),
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        f"--datadir={data}",
        f"--tmpdir={data}",
        *SIZE,
    ]
    answer = subprocess.run(
        command,
        env={"PATH": search_path()},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    if answer.returncode:
        raise PartFailed(f"mariadb-install-db failed with code {answer.returncode}.\n{answer.stdout}{answer.stderr}")


def _copy(source: Path, target: Path) -> None:
    """A copy that shares blocks where the file system can."""
    shutil.rmtree(target, ignore_errors=True)
    answer = subprocess.run(
        ["cp", "-a", "--reflink=auto", str(source), str(target)], capture_output=True, text=True, check=False
    )
    if answer.returncode:
        raise PartFailed(f"The database's files could not be laid out at {target}: {answer.stderr}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """The lock goes with the process that holds it."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
