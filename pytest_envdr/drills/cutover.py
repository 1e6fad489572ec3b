"""The services deployed with a restored copy as their database, seen to work on it, and deployed back.

The application stays in maintenance mode while services are deployed, either way: nobody shall write to two databases.
What is written to the copy meanwhile goes with it, which is why this needs an approval of its own.
"""

from __future__ import annotations

import json
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from pytest_envdr import guard, laravel, mariadb, undo
from pytest_envdr.aws import ecs, ecs_definitions, rds
from pytest_envdr.drills import Finding
from pytest_envdr.drills.recovery import PROOFS
from pytest_envdr.drills.subject import unsteady
from pytest_envdr.errors import Refused, WaitFailed, WaitTimedOut
from pytest_envdr.probe import Probe, check_for, samples

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.restores import Aside
    from pytest_envdr.journal import Entry, Journal
    from pytest_envdr.mariadb import Server
    from pytest_envdr.stack import Service, Stack
    from pytest_envdr.tables import Database

SECONDS = 600.0
"""How long services may take to be deployed, and to answer."""
PAGE_SECONDS = 10.0


@dataclass(frozen=True)
class CutOver:
    """Services that were cut over, and back.

    Attributes:
        services: their words in the stack file.
        server: the server that the application named meanwhile; `restored` is the copy's own name.
        silent: those that gave no good answers in a row on the copy.
        back: the server that it named afterwards; `source` is the live instance's own name.
    """

    services: tuple[str, ...]
    server: str
    restored: str
    silent: tuple[str, ...]
    back: str
    source: str


def check_allowed(stack: Stack) -> None:
    """Refuse a cutover that nobody approved.

    Raises:
        NotCleared: with the key to add.
    """
    guard.check_allowed(stack, "database_restore", "cutover", date.today())  # noqa: DTZ011 (the approver's day)


def cut_over_and_back(aws: Aws, journal: Journal, drill: Drill, aside: Aside, source: Server) -> CutOver:
    """Deploy every service that knows the source with the copy in its place, have them work, and deploy them back.

    Raises:
        NotCleared: it is not approved.
        Refused: no service names the source.
        WaitFailed: a deployment was rolled back.
        WaitTimedOut: a deployment did not become steady.
        UndoFailed: the services could not be deployed back; it stays owed.
    """
    check_allowed(aws.stack)
    row, server = aws.stack.database, aside.server
    if row is None or server is None:
        raise Refused(f"Nobody has logged in to {aside.identifier} yet.")
    services = _knowing(aws, row, source)
    if not services:
        raise Refused(f"No service's {row.host_variable} is {source.host}: there is nothing to cut over.")
    rds.set_security_groups(aws, journal, aside.identifier, [*aside.placement.source.security_groups, aside.group])
    drill.mark("cutover")
    _deploy(aws, journal, drill, services, {row.host_variable: server.host, row.port_variable: str(server.port)})
    _leave_maintenance(aws, journal)
    drill.mark("cut over")
    named = _named(aws, row)
    silent = _silent(drill, services)
    laravel.enter_maintenance(aws, journal)
    _go_back(aws, journal, drill)
    _leave_maintenance(aws, journal)
    drill.mark("back on the source")
    made = CutOver(tuple(services), named, _identity(server), silent, _named(aws, row), _identity(source))
    for finding in _findings(made):
        drill.finding(finding)
    return made


def _findings(made: CutOver) -> list[Finding]:
    found = []
    if made.server != made.restored:
        title = "after the cutover the application did not work on the copy"
        found.append(("cutover.server", title, f"it named {made.server or 'no server'}, not {made.restored}"))
    if made.back != made.source:
        title = "after going back the application does not work on the source"
        found.append(("cutover.back", title, f"it names {made.back or 'no server'}, not {made.source}"))
    found += [("cutover.silent", f"{word} gave no good answers on the copy", "") for word in made.silent]
    return [Finding(id_, "failure", title, detail, "Look at its tasks' logs.") for id_, title, detail in found]


def _knowing(aws: Aws, row: Database, source: Server) -> dict[str, Service]:
    """The services of which a container is told that the source is its database."""
    found = {}
    for word, service in aws.stack.services.items():
        definition = ecs.service(aws, service.name, service.cluster).task_definition
        containers = ecs_definitions.task_definition(aws, definition).containers
        if any(container.environment.get(row.host_variable) == source.host for container in containers):
            found[word] = service
    return found


def _deploy(
    aws: Aws, journal: Journal, drill: Drill, services: Mapping[str, Service], environment: Mapping[str, str]
) -> None:
    """New revisions, all registered before the first is deployed."""
    made = {}
    for word, row in services.items():
        before = ecs.service(aws, row.name, row.cluster)
        made[word] = (
            before,
            ecs_definitions.register_revision(aws, journal, before.task_definition, environment=environment),
        )
    for before, revision in made.values():
        ecs.set_task_definition(aws, journal, before, revision)
    drill.wait_until(
        lambda: [reason for word, row in services.items() if (reason := _not_deployed(aws, row, made[word][1]))],
        lambda reasons: not reasons,
        what=f"{', '.join(services)} deployed on the copy",
        deadline=SECONDS,
        longest_interval=1.0,
    )


def _not_deployed(aws: Aws, row: Service, revision: str) -> str:
    """What is missing. A service that the circuit breaker took back never comes: there is nothing to wait for."""
    service = ecs.service(aws, row.name, row.cluster)
    if service.task_definition != revision:
        back = service.task_definition.rpartition("/")[2]
        raise WaitFailed(f"{row.name} went back to {back}: its deployment on the copy failed. Look at its tasks' logs.")
    reason = unsteady(aws, service)
    return f"{row.name}: {reason}" if reason else ""


def _leave_maintenance(aws: Aws, journal: Journal) -> None:
    for entry in reversed(journal.owed()):
        if entry.act == "laravel.Down":
            undo.reverse(aws, journal, entry)


def _go_back(aws: Aws, journal: Journal, drill: Drill) -> None:
    """All services at once: what is deployed one by one is waited for one by one."""
    owed = [entry for entry in reversed(journal.owed()) if _deployed(entry)]
    for entry in owed:
        undone = undo.reverse(aws, journal, entry)
        drill.note(f"{undone.entry.inverse.restores}: {undone.how}")


def _deployed(entry: Entry) -> bool:
    return entry.act in {"ecs.UpdateService", "ecs.RegisterTaskDefinition"}


def _named(aws: Aws, row: Database) -> str:
    """The server that the application names, asked through the load balancer; "" where it does not answer."""
    probe = aws.stack.services[row.smoke_service].probe
    url = f"{probe.url.rstrip('/')}{row.identity_path}"
    request = urllib.request.Request(url, headers={"Host": probe.host} if probe.host else {})  # noqa: S310 (the stack file's)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=PAGE_SECONDS) as answer:
            return str(json.loads(answer.read()).get("server") or "")
    except (OSError, ValueError):
        return ""


def _silent(drill: Drill, services: Mapping[str, Service]) -> tuple[str, ...]:
    """Those of which a client outside does not get a row of good answers."""
    with ExitStack() as held:
        probes = {word: held.enter_context(Probe(check_for(row.probe))) for word, row in services.items()}
        began = drill.clock.monotonic()

        def read() -> list[str]:
            return [word for word, probe in probes.items() if _proofs(probe, began) < PROOFS]

        try:
            drill.wait_until(
                read,
                lambda words: not words,
                what=f"{PROOFS} good answers in a row of {', '.join(services)}",
                deadline=max(60.0, drill.rto_seconds),
                longest_interval=0.5,
            )
        except WaitTimedOut:
            return tuple(read())
    return ()


def _proofs(probe: Probe, since: float) -> int:
    return sum(sample.answer.proof for sample in samples.row(probe.samples, since=since))


def _identity(server: Server) -> str:
    with mariadb.session(server) as cursor:
        return mariadb.identity(cursor)
