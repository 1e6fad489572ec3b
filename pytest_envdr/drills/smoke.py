"""Whether the application works on a restored server: one container of it, started alone and pointed there.

It proves which server it came from: a value that was written into the restored server and nowhere else is read through
the application, and the server that answers it is the restored one (aws-semantics 1.6).
"""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_envdr import mariadb
from pytest_envdr.aws import ecs, ecs_definitions
from pytest_envdr.drills import Finding
from pytest_envdr.errors import WaitFailed, WaitTimedOut
from pytest_envdr.timeline import Mark

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.restores import Aside
    from pytest_envdr.journal import Journal
    from pytest_envdr.mariadb import Server
    from pytest_envdr.tables import Database

ALONE = {"APP_MAINTENANCE": "ignore"}
"""Tells the application that it serves though the stack it belongs to is in maintenance mode."""
PORT = 8000
"""Where a container listens whose task definition does not say."""
PAGE_SECONDS = 10.0
SECONDS = 180.0
"""How long a task may take to start and answer."""


@dataclass(frozen=True)
class Answer:
    """What the application on the restored server answered.

    Attributes:
        server: the server that it says it asked.
        restored, source: what those servers say of themselves.
        value: the value that only the restored server holds, as the application read it.
        expected: that value.
        page: the status of a page that reads business data.
    """

    server: str
    restored: str
    source: str
    value: str
    expected: str
    page: int

    @property
    def wrong(self) -> str:
        """Why this proves nothing, or ""."""
        if self.server == self.source:
            return f"it asked the source, {self.server}, and not {self.restored}"
        if self.server != self.restored:
            return f"it asked {self.server or 'no server that it names'}, and not {self.restored}"
        if self.value != self.expected:
            return "it did not read the value that only the restored server holds"
        return "" if self.page == OK else f"its page answers {self.page}"


OK = 200


def ports(aws: Aws) -> tuple[int, ...]:
    """Where the application listens that is started on a restored server."""
    _, container = _definition(aws)
    return container.ports[:1] or (PORT,)


def check_application(aws: Aws, journal: Journal, drill: Drill, aside: Aside, source: Server) -> Answer:
    """Start the application on a restored server and ask it; marks RECOVERED at the first answer that proves it.

    Raises:
        WaitFailed: its task ended.
        WaitTimedOut: it gave no answer that proves anything; a finding says what it answered.
    """
    row, server = aws.stack.database, aside.server
    if row is None or server is None:
        raise WaitFailed(f"nobody has logged in to {aside.identifier}")
    token = f"envdr-{secrets.token_hex(8)}"
    identities = _identity(server), _identity(source)
    _write(server, row.central, token)
    task, container = _start(aws, journal, row, aside, server)
    drill.note(f"task {task.id} runs {container.name} alone on {aside.identifier}")
    ask = _asking(aws, row, container, token, identities)
    answers: list[Answer] = []

    def read() -> str:
        (now,) = ecs.described(aws, _cluster(aws, row), [task.arn])
        if now.last_status != "RUNNING" or now.address is None:
            return (
                f"its task is {now.last_status}: {now.stopped_reason}"
                if now.stopped_at
                else f"its task is {now.last_status}"
            )
        try:
            answers[:] = [ask(now.address)]
        except (OSError, ValueError) as error:
            return f"no answer: {error}"
        return answers[0].wrong

    sent = drill.clock.monotonic()
    try:
        drill.wait_until(
            read,
            lambda wrong: not wrong,
            what=f"the application answering from {aside.identifier}",
            deadline=SECONDS,
            failed=lambda wrong: wrong if wrong.startswith(("its task is STOPPED", "it asked the source")) else None,
            longest_interval=1.0,
        )
    except (WaitFailed, WaitTimedOut) as error:
        drill.finding(_not_proven(aside, answers, str(error).partition("\n")[0]))
        raise
    answered = drill.clock.monotonic()
    drill.mark(Mark.RECOVERED, clock=answered, error_seconds=round(min(answered - sent, 1.0), 3))
    drill.attach("application.json", json.dumps(vars(answers[0]), indent=2), media_type="application/json")
    return answers[0]


def _not_proven(aside: Aside, answers: list[Answer], why: str) -> Finding:
    detail = answers[0].wrong if answers else why
    return Finding(
        "database.application",
        "failure",
        f"the application does not work on {aside.identifier}",
        detail,
        "Look at the log of its task, and at what tells it where its database is.",
    )


def _definition(aws: Aws) -> tuple[ecs.Service, ecs_definitions.Container]:
    aws.stack.needs("database")
    row = aws.stack.database
    named = aws.stack.services[row.smoke_service if row else ""]
    service = ecs.service(aws, named.name, named.cluster)
    return service, ecs_definitions.task_definition(aws, service.task_definition).containers[0]


def _cluster(aws: Aws, row: Database) -> str:
    return aws.stack.services[row.smoke_service].cluster


def _start(
    aws: Aws, journal: Journal, row: Database, aside: Aside, server: Server
) -> tuple[ecs.Task, ecs_definitions.Container]:
    """In the copy's own security group beside the service's: the copy lets in nobody else."""
    service, container = _definition(aws)
    environment = {row.host_variable: server.host, row.port_variable: str(server.port), **ALONE}
    task = ecs.run_task(
        aws, journal, service, container=container.name, environment=environment, security_groups=[aside.group]
    )
    return task, container


def _asking(
    aws: Aws, row: Database, container: ecs_definitions.Container, token: str, identities: tuple[str, str]
) -> Callable[[str], Answer]:
    probe = aws.stack.services[row.smoke_service].probe
    page = aws.stack.maintenance.path if aws.stack.maintenance else "/"
    port = (container.ports[:1] or (PORT,))[0]

    def ask(address: str) -> Answer:
        url = f"http://{address}:{port}"
        status, body = _get(f"{url}{row.identity_path}?value={urllib.parse.quote(token)}", probe.host)
        said = json.loads(body) if status == OK else {}
        page_status, _ = _get(f"{url}{page}", probe.host)
        return Answer(str(said.get("server") or ""), *identities, str(said.get("value") or ""), token, page_status)

    return ask


def _get(url: str, host: str | None) -> tuple[int, bytes]:
    request = urllib.request.Request(url, headers={"Host": host} if host else {})  # noqa: S310 (a task's own address)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=PAGE_SECONDS) as answer:
            return int(answer.status), bytes(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def _identity(server: Server) -> str:
    with mariadb.session(server) as cursor:
        return mariadb.identity(cursor)


def _write(server: Server, database: str, token: str) -> None:
    """A row that the restored server alone holds, where the application looks for probes."""
    with mariadb.session(server, database=database) as cursor:
        cursor.execute("INSERT INTO dr_probe (value, service, task) VALUES (%s, 'envdr', 'envdr')", (token,))
