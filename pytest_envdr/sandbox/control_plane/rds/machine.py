"""The machine behind an instance: its storage is laid out, then its server is kept running."""

from __future__ import annotations

import functools
import itertools
import logging
import shutil
import subprocess
import threading
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING

import pymysql

from pytest_envdr.errors import EnvdrError, PartFailed
from pytest_envdr.sandbox.control_plane.extension import backend_lock
from pytest_envdr.sandbox.control_plane.rds import parameters
from pytest_envdr.sandbox.data_plane import mariadb_snapshot
from pytest_envdr.sandbox.data_plane.mariadb import MariaDB, create_database, master_user
from pytest_envdr.sandbox.data_plane.mariadb_archive import Archive, restore
from pytest_envdr.sandbox.data_plane.mariadb_template import EMPTY, lay_out
from pytest_envdr.sandbox.data_plane.mariadb_variables import set_variables
from pytest_envdr.sandbox.data_plane.watch import Condition, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Executor
    from datetime import datetime
    from pathlib import Path

    from pytest_envdr.sandbox.control_plane.rds.instance import Instance, Origin
    from pytest_envdr.sandbox.world import World

HANG_SECONDS = 30.0
"""AWS seconds without an answer after which RDS restarts a server."""
PATIENCE = 3.0
"""... but never fewer wall seconds than these, which a busy machine may well take."""
STATEMENT_SECONDS = 10.0
STARTS = 3
"""After so many starts that failed it is not started again."""
OWN_DATABASES = frozenset({"mysql", "sys", "performance_schema"})
"""The server's own, whose tables may be Aria's."""

log = logging.getLogger("envdr.sandbox")
_server_ids = itertools.count(1)


class Machine:
    """One server with its storage. `step` never waits; `close` does."""

    def __init__(self, world: World, instance: Instance, pool: Executor) -> None:
        self._directory = world.directory / "rds" / instance.dbi_resource_id
        self._directory.mkdir(parents=True)
        data = self._directory / "data"
        self.server = MariaDB(data, address=instance.host, server_id=next(_server_ids))
        self._pool = pool
        self._laid_out = _in_background(_filling(world, instance, data))
        patience = max(world.scaled(HANG_SECONDS), PATIENCE)
        self._first = _First(self.server, instance)
        self._watch = Watch(self._first, pool, patience=patience)
        self._setting: Future[None] | None = None
        self._adjusting: Future[None] | None = None
        self._instance = instance
        self._password = instance.password
        self.failure: BaseException | None = None

    @property
    def condition(self) -> Condition:
        return self._watch.condition

    @property
    def laying_out(self) -> bool:
        """Whether its storage is still being made."""
        return not self._laid_out.done()

    @property
    def refuses(self) -> bool:
        """Whether the server ended by itself each time that it was started, before it ever answered."""
        return self._first.failures >= STARTS and self._watch.condition is Condition.DOWN

    @property
    def setting_password(self) -> bool:
        """Whether a new master password is being set."""
        return self._setting is not None and not self._setting.done()

    def has_password(self, password: str) -> bool:
        """Whether that is the password which was set last, and setting it succeeded."""
        return self._password == password and (self._setting is None or self._setting.exception() is None)

    def step(self) -> None:
        """Keep the server as it is wanted, once its storage is there."""
        if not self._laid_out.done() or self.failure:
            return
        self.failure = self._laid_out.exception()
        if not self.failure:
            self._watch.step()

    def up(self) -> None:
        self._watch.up()

    def down(self) -> None:
        self._watch.down()

    def reboot(self) -> None:
        self._first.failures = 0
        self._watch.restart()

    def set_password(self, user: str, password: str) -> None:
        """Have the master password set, in the background."""
        self._password = password
        run = functools.partial(self.server.execute, timeout=STATEMENT_SECONDS)
        self._setting = self._pool.submit(run, master_user(user, password))

    def take(self, target: Path) -> Future[datetime | None]:
        """Have a snapshot of its files taken, in the background; the instant that it holds."""
        return self._pool.submit(self._take, target)

    def ship(self, archive: Path) -> datetime:
        """Archive its binary logs; the time up to which they are complete. Blocks.

        Raises:
            PartFailed: they could not be archived.
        """
        return Archive(archive).ship(self.server)

    def _take(self, target: Path) -> datetime:
        # A frozen server does not answer, and that is no fault of its.
        self._first.excused = True
        try:
            return mariadb_snapshot.take(self.server, target)
        finally:
            self._first.excused = False

    def adjust(self, variables: Mapping[str, str]) -> None:
        """Have variables of the running server set, in the background, unless that is being done already."""
        if self._adjusting is None or self._adjusting.done():
            self._adjusting = self._pool.submit(self._adjust, dict(variables))

    def _adjust(self, variables: dict[str, str]) -> None:
        for name, value in variables.items():
            try:
                refused = set_variables(self.server, {name: value})
            except PartFailed as error:
                log.warning("%s: %s", self._instance.db_instance_identifier, error)
                refused = (name,)
            with backend_lock:
                if refused:
                    # The next start shows whether the server takes it at all.
                    self._instance.refused.add(name)
                elif self._instance.in_effect is not None:
                    self._instance.in_effect[name] = value

    def freeze(self) -> None:
        """Stop the server in its tracks."""
        self.server.freeze()

    def thaw(self) -> None:
        """Let it run on."""
        self.server.thaw()
        self._watch.forgive()

    def close(self) -> None:
        """End the server and discard its storage. Idempotent."""
        self.server.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def discard(self) -> None:
        """The same, after its storage has been laid out. Blocks that long."""
        wait([self._laid_out])
        self.close()


def _filling(world: World, instance: Instance, data: Path) -> Callable[[], None]:
    """What makes an instance's storage.

    Its own errors are RestoreImpossible, for data that RDS cannot restore, and PartFailed.
    """
    if instance.origin is None:
        content = world.contents.get(instance.db_instance_identifier, EMPTY)
        return functools.partial(lay_out, content, data, cache=world.cache, address=instance.host)
    return functools.partial(_restore, instance.origin, data, instance.host)


def _restore(origin: Origin, data: Path, address: str) -> None:
    unrestorable = [path for path in origin.snapshot.glob("*/*.MAI") if path.parent.name not in OWN_DATABASES]
    if unrestorable:
        raise RestoreImpossible(f"Only InnoDB can be restored, and this is Aria's: {unrestorable[0]}")
    archive = Archive(origin.archive) if origin.archive else None
    restore(origin.snapshot, data, address=address, archive=archive, until=origin.until)


def _first_statements(instance: Instance) -> list[str]:
    """A restored server has its accounts, with the passwords that they had."""
    if instance.origin:
        return []
    statements = master_user(instance.master_username or "", instance.password)
    if instance.db_name:
        statements.append(create_database(instance.db_name))
    return statements


class RestoreImpossible(PartFailed):
    """The data is of a kind that RDS takes no usable backups of."""


class _First:
    """A server whose first start makes the master user; later starts leave the accounts as they are.

    Attributes:
        excused: whether it need not answer for now.
        failures: how often it was started in a row without answering ever after.
    """

    def __init__(self, server: MariaDB, instance: Instance) -> None:
        self.excused = False
        self.failures = 0
        self._server = server
        self._instance = instance
        self._statements = _first_statements(instance)

    def start(self) -> None:
        self.failures += 1
        with backend_lock:
            self._server.variables = parameters.boot(self._instance)
        self._server.start(self._statements)

    def answers(self, *, timeout: float) -> bool:
        excused = self.excused
        answered = self._server.answers(timeout=timeout)
        if answered:
            self._statements, self.failures = [], 0
        return answered or excused or self.excused

    def exit_code(self) -> int | None:
        return self._server.exit_code()

    def terminate(self) -> None:
        self._server.terminate()

    def kill(self) -> None:
        self._server.kill()


def _in_background(work: Callable[[], None]) -> Future[None]:
    """Run in a thread that the end of the process does not wait for: a large storage takes its time."""
    future: Future[None] = Future()

    def run() -> None:
        try:
            work()
        except (EnvdrError, OSError, pymysql.MySQLError, subprocess.SubprocessError) as error:
            future.set_exception(error)
        else:
            future.set_result(None)

    threading.Thread(target=run, name="rds-storage", daemon=True).start()
    return future
