"""The machine behind an instance: its storage is laid out, then its server is kept running."""

from __future__ import annotations

import functools
import itertools
import shutil
import subprocess
import threading
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING

import pymysql

from pytest_envdr.errors import EnvdrError
from pytest_envdr.sandbox.data_plane.mariadb import MariaDB, create_database, master_user
from pytest_envdr.sandbox.data_plane.mariadb_template import EMPTY, lay_out
from pytest_envdr.sandbox.data_plane.watch import Condition, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor

    from pytest_envdr.sandbox.control_plane.rds.backend import Instance
    from pytest_envdr.sandbox.world import World

HANG_SECONDS = 30.0
"""AWS seconds without an answer after which RDS restarts a server."""
PATIENCE = 3.0
"""... but never fewer wall seconds than these, which a busy machine may well take."""
STATEMENT_SECONDS = 10.0

_server_ids = itertools.count(1)


class Machine:
    """One server with its storage. `step` never waits; `close` does."""

    def __init__(self, world: World, instance: Instance, pool: Executor) -> None:
        self._directory = world.directory / "rds" / instance.dbi_resource_id
        self._directory.mkdir(parents=True)
        data = self._directory / "data"
        self.server = MariaDB(data, address=instance.host, server_id=next(_server_ids))
        self._pool = pool
        content = world.contents.get(instance.db_instance_identifier, EMPTY)
        self._laid_out = _in_background(
            functools.partial(lay_out, content, data, cache=world.cache, address=instance.host)
        )
        statements = master_user(instance.master_username or "", instance.password)
        if instance.db_name:
            statements.append(create_database(instance.db_name))
        patience = max(world.scaled(HANG_SECONDS), PATIENCE)
        self._watch = Watch(_First(self.server, statements), pool, patience=patience)
        self._setting: Future[None] | None = None
        self._password = instance.password
        self.failure: BaseException | None = None

    @property
    def condition(self) -> Condition:
        return self._watch.condition

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
        self._watch.restart()

    def set_password(self, user: str, password: str) -> None:
        """Have the master password set, in the background."""
        self._password = password
        run = functools.partial(self.server.execute, timeout=STATEMENT_SECONDS)
        self._setting = self._pool.submit(run, master_user(user, password))

    def close(self) -> None:
        """End the server and discard its storage. Idempotent."""
        self.server.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def discard(self) -> None:
        """The same, after its storage has been laid out. Blocks that long."""
        wait([self._laid_out])
        self.close()


class _First:
    """A server whose first start makes the master user; later starts leave the accounts as they are."""

    def __init__(self, server: MariaDB, statements: Iterable[str]) -> None:
        self._server = server
        self._statements = tuple(statements)

    def start(self) -> None:
        self._server.start(self._statements)

    def answers(self, *, timeout: float) -> bool:
        answered = self._server.answers(timeout=timeout)
        if answered:
            self._statements = ()
        return answered

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
