"""The application's services as processes over a real database and a real cache, without AWS around them."""

from __future__ import annotations

import http.client
import json
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pymysql
import redis

from pytest_envdr.sandbox.data_plane.mariadb import MariaDB, master_user
from pytest_envdr.sandbox.data_plane.mariadb_template import lay_out
from pytest_envdr.sandbox.data_plane.process import Process
from pytest_envdr.sandbox.data_plane.redis import Redis
from pytest_envdr.sandbox.envelope import database
from pytest_envdr.settings import search_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 30.0
USER, PASSWORD = "envelope", "s3cret"
COMMANDS = {
    "worker": "php artisan queue:work {connection} --queue={queue} --sleep=0.2 --tries=3 --timeout=60",
    "scheduler": "php artisan envelope:heartbeat",
    "reverb": "php artisan reverb:start",
}


@dataclass
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: Any


@dataclass
class Task:
    """A running task."""

    address: str
    process: Process
    log: Path
    environment: dict[str, str]

    def ask(
        self, path: str, body: Any = None, *, host: str = "envelope.test", method: str | None = None, token: str = ""
    ) -> Answer:
        """GET, or POST with a JSON body; `token` says who asks."""
        connection = http.client.HTTPConnection(self.address, 8000, timeout=10)
        try:
            sent = None if body is None else json.dumps(body)
            headers = {"Host": host, "Content-Type": "application/json"}
            if token:
                headers["Authorization"] = f"Bearer {token}"
            connection.request(method or ("GET" if body is None else "POST"), path, sent, headers)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), json.loads(answer.read() or b"null"))
        finally:
            connection.close()

    def lines(self) -> list[str]:
        """What it has printed."""
        return self.log.read_text().splitlines()

    def metrics(self, name: str) -> list[dict[str, Any]]:
        """Its embedded metric lines that have that metric."""
        rows = [json.loads(line) for line in self.lines() if line.startswith('{"_aws"')]
        return [row for row in rows if name in row]

    def alive(self) -> bool:
        """The container's health check."""
        command = ["/bin/sh", "-c", "sh bin/alive"]
        return subprocess.run(command, cwd=database.APPLICATION, env=self.environment, check=False).returncode == 0


class Application:
    """Services of one stack; all share the storage, as tasks share EFS."""

    def __init__(self, directory: Path, network: str) -> None:
        self.directory = directory
        self.network = network
        self.database = MariaDB(directory / "data", address=f"{network}.64.10")
        self.redis = Redis(directory / "redis", address=f"{network}.64.100")
        self.connection, self.queue = "redis", "default"
        self.variables: dict[str, str] = {}
        self._tasks: list[Task] = []

    def start(self, service: str, host: int, **more: str) -> Task:
        """A task of a service; not waited for."""
        address = f"{self.network}.32.{host}"
        log = self.directory / f"{service}-{host}-{len(self._tasks)}.log"
        environment = self.environment(service, address) | more
        with log.open("wb") as output:
            command = COMMANDS.get(service, "sh bin/serve").format(connection=self.connection, queue=self.queue)
            process = Process.start(
                command.split(), name=service, cwd=database.APPLICATION, env=environment, output=output
            )
        self._tasks.append(Task(address, process, log, environment))
        return self._tasks[-1]

    def artisan(self, *arguments: str) -> str:
        """What `php artisan ...` prints."""
        environment = self.environment("api", f"{self.network}.32.250")
        command = ["php", "artisan", *arguments]
        return subprocess.run(
            command, cwd=database.APPLICATION, env=environment, check=True, capture_output=True, text=True
        ).stdout

    def environment(self, service: str, address: str) -> dict[str, str]:
        return {
            "PATH": search_path(),
            "APP_SERVICE": service,
            "APP_KEY": "base64:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "DB_HOST": self.database.address,
            "DB_USERNAME": USER,
            "DB_PASSWORD": PASSWORD,
            "REDIS_HOST": self.redis.address,
            "QUEUE_RETRY_AFTER": "2",
            "LARAVEL_STORAGE_PATH": str(self.directory / "efs"),
            "TASK_IP": address,
            "HEARTBEAT_SECONDS": "0.1",
        } | self.variables

    def rows(self, statement: str, *values: Any, schema: str = "central") -> list[tuple[Any, ...]]:
        with (
            self.database.connect(USER, PASSWORD, timeout=10, database=schema) as connection,
            connection.cursor(pymysql.cursors.Cursor) as cursor,
        ):
            cursor.execute(statement, values or None)
            return list(cursor.fetchall())

    def redis_client(self) -> redis.Redis:
        """A client of the cache, on the database that the queue is in."""
        return redis.Redis(self.redis.address, decode_responses=True)

    def close(self) -> None:
        for task in self._tasks:
            task.process.stop(grace=0.0)
        self.database.stop()
        self.redis.stop()


@contextmanager
def running(directory: Path, *, network: str, tenants: int) -> Iterator[Application]:
    """The stores, filled and ready. `network` is the first two bytes of the addresses."""
    application = Application(directory, network)
    try:
        content = database.content(tenants)
        lay_out(content, application.database.data, cache=None, address=application.database.address)
        application.database.start(master_user(USER, PASSWORD))
        application.redis.start()
        application.database.wait_until_ready(deadline=SECONDS)
        application.redis.wait_until_ready(deadline=SECONDS)
        yield application
    finally:
        application.close()
