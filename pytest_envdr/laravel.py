"""The application's own commands, run in a task of its own, and its maintenance mode."""

from __future__ import annotations

import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_envdr.aws import ecs, ecs_definitions, logs
from pytest_envdr.errors import NotFound, Refused, WaitFailed
from pytest_envdr.journal import Inverse
from pytest_envdr.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Journal
    from pytest_envdr.stack import Service, Stack
    from pytest_envdr.tables import Maintenance
    from pytest_envdr.waiting import Progress

COMMAND_SECONDS = 180.0
"""How long a command may take, with the start of its task."""
SEEN_SECONDS = 30.0
"""How long the pages may take to show maintenance mode, or its end."""
PAGE_SECONDS = 10.0
UNAVAILABLE = 503


@dataclass(frozen=True)
class Ran:
    """A command that has ended: `output` is what it wrote to its log so far, `exit_code` None where ECS tells none."""

    command: tuple[str, ...]
    exit_code: int | None
    output: str
    task: str


@dataclass(frozen=True)
class Begun:
    """A command that was started: `task` is its ARN, `container` where it runs."""

    command: tuple[str, ...]
    cluster: str
    container: ecs_definitions.Container
    task: str


def run(
    aws: Aws,
    journal: Journal,
    row: Service,
    command: Sequence[str],
    *,
    deadline: float = COMMAND_SECONDS,
    progress: Progress | None = None,
) -> Ran:
    """Run a command of the application once, in a task like the service's own, and wait for its end.

    Raises:
        WaitTimedOut: it did not end in time.
        AwsError: ECS could not start it.
    """
    begun = begin(aws, journal, row, command)
    wait_until(
        lambda: ended(aws, begun),
        what=f"the end of `{' '.join(command)}`",
        deadline=deadline,
        longest_interval=1.0,
        progress=progress,
    )
    return ran(aws, begun)


def begin(aws: Aws, journal: Journal, row: Service, command: Sequence[str]) -> Begun:
    """Start a command of the application in a task like the service's own, and do not wait for it.

    Raises:
        AwsError: ECS could not start it.
    """
    service = ecs.service(aws, row.name, row.cluster)
    container = ecs_definitions.task_definition(aws, service.task_definition).containers[0]
    task = ecs.run_task(aws, journal, service, container=container.name, command=command)
    return Begun(tuple(command), row.cluster, container, task.arn)


def ended(aws: Aws, begun: Begun) -> bool:
    """Whether a command's task has stopped."""
    tasks = ecs.described(aws, begun.cluster, [begun.task])
    return bool(tasks) and tasks[0].last_status == "STOPPED"


def ran(aws: Aws, begun: Begun) -> Ran:
    """What became of a command whose task has stopped."""
    (task,) = ecs.described(aws, begun.cluster, [begun.task])
    output = _output(aws, begun.container, task) if task.created_at else ""
    return Ran(begun.command, task.exit_codes.get(begun.container.name), output or task.stopped_reason, task.id)


def in_maintenance(stack: Stack) -> bool:
    """Whether the application answers that it is in maintenance: 503 with Retry-After, which no load balancer sends.

    Raises:
        OSError: nobody answers.
    """
    wanted = _maintenance(stack)
    probe = stack.services[wanted.service].probe
    headers = {"Host": probe.host} if probe.host else {}
    request = urllib.request.Request(f"{probe.url.rstrip('/')}{wanted.path}", headers=headers)  # noqa: S310 (the stack file's)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(request, timeout=PAGE_SECONDS).close()
    except urllib.error.HTTPError as error:
        with error:
            return error.code == UNAVAILABLE and "Retry-After" in error.headers
    return False


def enter_maintenance(aws: Aws, journal: Journal, *, progress: Progress | None = None) -> None:
    """Put the application in maintenance mode, and see that it is.

    Raises:
        Refused: it is already; whoever did that may not want it ended.
        WaitFailed: the command failed; says what it wrote.
        WaitTimedOut: its pages do not show it.
    """
    wanted = _maintenance(aws.stack)
    if in_maintenance(aws.stack):
        raise Refused("Nothing was touched: the application is in maintenance mode already, for a reason of its own.")
    row = aws.stack.services[wanted.service]
    inverse = Inverse(
        "ecs.RunTask",
        {
            "cluster": row.cluster,
            "service": row.name,
            "command": list(wanted.up),
            "exercise": journal.header.exercise,
        },
        "the application out of maintenance mode",
    )
    with journal.intending("laravel.Down", {"command": list(wanted.down)}, inverse=inverse):
        ran = run(aws, journal, row, wanted.down, progress=progress)
        if ran.exit_code:
            raise WaitFailed(f"`{' '.join(ran.command)}` ended with exit code {ran.exit_code}: {ran.output[-500:]}")
        wait_until(
            lambda: in_maintenance(aws.stack),
            what=f"503 with Retry-After from {wanted.path} of {row.name}",
            deadline=SEEN_SECONDS,
            longest_interval=0.5,
            tolerated=(OSError,),
            progress=progress,
        )


def calling(aws: Aws, before: Mapping[str, Any]) -> dict[str, Any]:
    """The RunTask call of an inverse that is a command, from what the journal keeps of it: with the task definition
    that the service has by now, since the one of then may be gone."""
    service = ecs.service(aws, before["service"], before["cluster"])
    container = ecs_definitions.task_definition(aws, service.task_definition).containers[0]
    arguments = {
        "cluster": service.cluster,
        "taskDefinition": service.task_definition,
        "launchType": service.launch_type,
        "networkConfiguration": dict(service.network),
        "overrides": {"containerOverrides": [{"name": container.name, "command": list(before["command"])}]},
        "tags": [{"key": "envdr:exercise", "value": before["exercise"]}],
    }
    return {key: value for key, value in arguments.items() if value}


def _output(aws: Aws, container: ecs_definitions.Container, task: ecs.Task) -> str:
    since: datetime | None = task.created_at
    if not container.log_group or since is None:
        return ""
    stream = container.log_stream(task.id)
    try:
        lines = logs.events(aws, container.log_group, since=since)
    except NotFound:
        return ""
    return "\n".join(line.message for line in lines if line.stream == stream)


def _maintenance(stack: Stack) -> Maintenance:
    stack.needs("maintenance")
    if stack.maintenance is None:
        raise Refused("The stack file has no [maintenance].")
    return stack.maintenance
