"""The application's versions as tasks: each behaves as it says, and says which it is."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.errors import PartFailed
from pytest_envdr.sandbox import programs
from pytest_envdr.sandbox.control_plane import ecr, ecs, logs
from pytest_envdr.sandbox.envelope import images
from pytest_envdr.sandbox.envelope.account import Account
from pytest_envdr.sandbox.envelope.names import CLUSTER as ENVELOPE
from pytest_envdr.sandbox.envelope.names import NEXT_VERSION, REGION, REPOSITORY, SERVICES, VERSION
from pytest_envdr.stack import read
from tests.sandbox.control_plane.fargate import CLUSTER, Fargate, address, until
from tests.sandbox.control_plane.served import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEADER = "X-Envelope-Version"
SERVE, REVERB = ["sh", "bin/serve"], ["php", "artisan", "reverb:start"]
ROOM = 160
"""MiB: what the application needs, and a second or two of growth."""
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.fixture(scope="module")
def fargate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fargate]:
    """A cluster with the application's versions in its registry, at speed 50."""
    programs.require()
    directory = tmp_path_factory.mktemp("versions")
    modules = {"logs": logs, "ecr": ecr, "ecs": ecs}
    with serving(directory, modules, region=REGION, network="127.34.0.0/16", speed=50) as served:
        images.create(Account(served.world))
        yield Fargate(served, directory)


def define(fargate: Fargate, tag: str, command: list[str], **more: Any) -> str:
    """A task definition with a version; its ARN."""
    variables = {"LARAVEL_STORAGE_PATH": str(fargate.directory / "efs"), "APP_SERVICE": "api"}
    return fargate.definition(
        "envelope",
        images.reference(tag),
        command=command,
        environment=[{"name": name, "value": value} for name, value in variables.items()],
        **more,
    )


def run(fargate: Fargate, tag: str, command: list[str] = SERVE, **more: Any) -> dict[str, Any]:
    """A running task with a version, which answers."""
    task = fargate.running(fargate.run(define(fargate, tag, command, **more)))
    until(lambda: ask(task, "/up"))
    return task


def stop(fargate: Fargate, task: dict[str, Any]) -> None:
    """End it; not waited for."""
    fargate.ecs.stop_task(cluster=CLUSTER, task=task["taskArn"])


def ended(fargate: Fargate, tag: str, command: list[str]) -> dict[str, Any]:
    """A task with a version that was run to its end."""
    return fargate.stopped(fargate.run(define(fargate, tag, command)))


def ask(task: dict[str, Any], path: str, **headers: str) -> tuple[int, str | None] | None:
    """Status and version of the answer; nothing where nobody answers."""
    connection = http.client.HTTPConnection(address(task), 8000, timeout=20)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
    except OSError:
        return None
    finally:
        connection.close()
    return answer.status, answer.getheader(HEADER)


def test_every_version_is_in_the_registry(fargate: Fargate) -> None:
    """Each under its tag with a digest of its own, in a repository whose tags do not move; one tag is not there."""
    registry = fargate.served.client("ecr")
    told = registry.describe_images(repositoryName=REPOSITORY)["imageDetails"]
    tags = [VERSION, NEXT_VERSION, "exits", "unhealthy", "answers-500", "grows"]
    assert [row["imageTags"] for row in told] == [[tag] for tag in tags]
    assert len({row["imageDigest"] for row in told}) == len(tags)
    assert images.NOT_THERE not in tags
    [repository] = registry.describe_repositories(repositoryNames=[REPOSITORY])["repositories"]
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert "expire" in registry.get_lifecycle_policy(repositoryName=REPOSITORY)["lifecyclePolicyText"]


def test_publishing_again_changes_nothing(fargate: Fargate) -> None:
    """The same application gives the same digests, in every sandbox."""
    registry = fargate.served.client("ecr")
    before = registry.describe_images(repositoryName=REPOSITORY)["imageDetails"]
    images.publish(Account(fargate.served.world))
    after = registry.describe_images(repositoryName=REPOSITORY)["imageDetails"]
    assert [row["imageDigest"] for row in after] == [row["imageDigest"] for row in before]


@pytest.mark.parametrize("tag", [VERSION, NEXT_VERSION])
def test_a_good_version_says_which_it_is(fargate: Fargate, tag: str) -> None:
    """On every answer, also where there is no such page; in the service for WebSockets, too."""
    pages, sockets = run(fargate, tag), run(fargate, tag, REVERB)
    assert ask(pages, "/up") == ask(sockets, "/up") == (200, tag)
    assert ask(pages, "/nothing") == ask(sockets, "/nothing") == (404, tag)
    assert ask(sockets, "/app/envelope", **UPGRADE) == (101, tag)
    stop(fargate, pages)
    stop(fargate, sockets)


@pytest.mark.parametrize("command", [SERVE, REVERB, ["php", "artisan", "queue:failed"]])
def test_exits(fargate: Fargate, command: list[str]) -> None:
    """Whatever is started ends at once with 1; the task did run."""
    task = ended(fargate, "exits", command)
    assert (task["stopCode"], task["containers"][0]["exitCode"]) == ("EssentialContainerExited", 1)
    assert "startedAt" in task


def test_unhealthy(fargate: Fargate) -> None:
    """It answers, but to the health check it does so with an error; the check of a container without a port fails."""
    pages, sockets = run(fargate, "unhealthy"), run(fargate, "unhealthy", REVERB)
    assert (ask(pages, "/up"), ask(sockets, "/up")) == ((503, "unhealthy"), (500, "unhealthy"))
    assert ask(pages, "/nothing") == (404, "unhealthy")
    beat = 'mkdir -p "$LARAVEL_STORAGE_PATH/alive"; touch "$LARAVEL_STORAGE_PATH/alive/$TASK_IP"; sh bin/alive'
    codes = [ended(fargate, tag, ["sh", "-c", beat])["containers"][0]["exitCode"] for tag in ("unhealthy", VERSION)]
    assert codes == [1, 0]
    stop(fargate, pages)
    stop(fargate, sockets)


def test_answers_500(fargate: Fargate) -> None:
    """The health check passes, every other page answers 500."""
    pages, sockets = run(fargate, "answers-500"), run(fargate, "answers-500", REVERB)
    assert ask(pages, "/up") == ask(sockets, "/up") == (200, "answers-500")
    for path in ("/nothing", "/api/tenants", "/dr/heartbeat", "/"):
        assert ask(pages, path) == (500, "answers-500")
    assert ask(sockets, "/app/envelope", **UPGRADE) == (500, "answers-500")
    stop(fargate, pages)
    stop(fargate, sockets)


@pytest.mark.parametrize("command", [SERVE, REVERB])
def test_grows(fargate: Fargate, command: list[str]) -> None:
    """It is healthy, until it holds more memory than it may and is killed for it."""
    task = run(fargate, "grows", command, memory=ROOM)
    stopped = fargate.stopped(task["taskArn"])
    [container] = stopped["containers"]
    assert (stopped["stopCode"], container["exitCode"]) == ("EssentialContainerExited", 137)
    assert container["reason"] == "OutOfMemoryError: Container killed due to memory usage"


def test_a_version_that_cannot_be_pulled(fargate: Fargate) -> None:
    """The fifth way to be broken: the tag has no image."""
    task = ended(fargate, images.NOT_THERE, SERVE)
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("CannotPullContainerError: ")


def test_an_edit_that_does_not_fit_is_an_error() -> None:
    """A version that would be as good as the application itself is not published."""
    stale = images.Version("stale", "", (images.Edit("bin/serve", "exec perl", "exit 1"),))
    with pytest.raises(PartFailed, match="'exec perl' is not once in bin/serve"):
        stale.changes()


def test_the_stack_runs_what_its_registry_has(sandbox_stack: Path) -> None:
    """Every task of every service says the digest that ECR has for the version in use."""
    stack = read(sandbox_stack)
    account = Account(type("Place", (), {"region": stack.region, "endpoint": stack.endpoint})())
    told = account.client("ecr").describe_images(repositoryName=REPOSITORY)["imageDetails"]
    [current] = [row["imageDigest"] for row in told if VERSION in row["imageTags"]]
    assert len(told) == 1 + len(images.VERSIONS)
    client = account.client("ecs")
    for service in SERVICES:
        arns = client.list_tasks(cluster=ENVELOPE, serviceName=service.name)["taskArns"]
        tasks = client.describe_tasks(cluster=ENVELOPE, tasks=arns)["tasks"]
        running = [
            one["imageDigest"] for task in tasks for one in task["containers"] if task["lastStatus"] == "RUNNING"
        ]
        assert set(running) == {current}
