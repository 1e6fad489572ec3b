"""What tasks are started from: tags at the moment of the pull, digests, deleted images. What memory they may have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.sandbox.control_plane import ecr, ecs, logs
from pytest_envdr.sandbox.control_plane.ecs.memory import task_limit
from tests.sandbox.control_plane.fargate import CLUSTER, IDLE, Fargate
from tests.sandbox.control_plane.served import ACCOUNT, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "ap-southeast-1"
REPOSITORY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop"
HOLD = "exec python3 -c 'import time; held = bytearray({mebibytes} << 20); time.sleep(1000)'"
BESIDE = "python3 -c 'import time; held = bytearray({mebibytes} << 20); time.sleep(1000)' &\nwait\n"
"""The memory is held by a process that the first one started."""
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"


@pytest.fixture(scope="module")
def fargate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fargate]:
    """A cluster, at speed 50, and a repository."""
    directory = tmp_path_factory.mktemp("images")
    modules = {"logs": logs, "ecr": ecr, "ecs": ecs}
    with serving(directory, modules, region=REGION, network="127.31.0.0/16", speed=50) as served:
        served.client("ecr").create_repository(repositoryName="shop")
        yield Fargate(served, directory)


def push(fargate: Fargate, script: str, tag: str) -> str:
    """Build an image whose `main.sh` is `script`; its digest."""
    source = fargate.directory / f"source-{tag}"
    source.mkdir(exist_ok=True)
    (source / "main.sh").write_text(script)
    return fargate.served.world.images.build(source, f"{REPOSITORY}:{tag}")


def ended(fargate: Fargate, definition: str) -> dict[str, Any]:
    """A task that was run to its end; its only container."""
    container: dict[str, Any] = fargate.stopped(fargate.run(definition))["containers"][0]
    return container


def test_a_tag_is_what_it_stands_for_when_the_task_starts(fargate: Fargate) -> None:
    """One task definition, and a tag that is moved between two tasks: each ran what it stood for, and says so."""
    first = push(fargate, "exit 3", "moving")
    definition = fargate.definition("moving", f"{REPOSITORY}:moving")
    before = ended(fargate, definition)
    second = push(fargate, "exit 4", "moving")
    after = ended(fargate, definition)
    assert [(one["exitCode"], one["imageDigest"]) for one in (before, after)] == [(3, first), (4, second)]
    told = fargate.served.client("ecr").describe_images(repositoryName="shop", imageIds=[{"imageTag": "moving"}])
    assert told["imageDetails"][0]["imageDigest"] == after["imageDigest"]
    assert "lastRecordedPullTime" in told["imageDetails"][0]


def test_a_digest_is_always_the_same(fargate: Fargate) -> None:
    """A task definition that names the digest runs that image, wherever the tag has gone since."""
    digest = push(fargate, "exit 5", "kept")
    push(fargate, "exit 6", "kept")
    assert ended(fargate, fargate.definition("kept", f"{REPOSITORY}@{digest}"))["exitCode"] == 5


@pytest.mark.parametrize("tail", [":none", "@sha256:" + "0" * 64, "s/other:1"])
def test_what_is_not_in_the_registry_is_not_pulled(fargate: Fargate, tail: str) -> None:
    """No such tag, digest or repository: the task stops before it runs, with AWS's words, and names the image."""
    task = fargate.stopped(fargate.run(fargate.definition("missing", f"{REPOSITORY}{tail}")))
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith(
        "CannotPullContainerError: pull image manifest has been retried 1 time(s): "
    )
    assert task["stoppedReason"].endswith(f"{REPOSITORY}{tail}: not found")
    assert task["containers"][0]["reason"] == task["stoppedReason"]
    assert "imageDigest" not in task["containers"][0]


def test_what_runs_goes_on_when_its_image_is_deleted(fargate: Fargate) -> None:
    """The running task does not notice; the next one of the same definition cannot be pulled."""
    digest = push(fargate, IDLE, "deleted")
    definition = fargate.definition("deleted", f"{REPOSITORY}:deleted")
    arn = fargate.run(definition)
    fargate.running(arn)
    gone = fargate.served.client("ecr").batch_delete_image(repositoryName="shop", imageIds=[{"imageDigest": digest}])
    assert gone["imageIds"] == [{"imageDigest": digest, "imageTag": "deleted"}]
    next_one = fargate.stopped(fargate.run(definition))
    assert next_one["stoppedReason"].startswith("CannotPullContainerError: ")
    assert fargate.task(arn)["lastStatus"] == "RUNNING"
    fargate.ecs.stop_task(cluster=CLUSTER, task=arn)
    fargate.stopped(arn)


@pytest.mark.parametrize("script", [HOLD, BESIDE])
def test_a_container_that_exceeds_its_memory_is_killed(fargate: Fargate, script: str) -> None:
    """SIGKILL to all of it: 137, AWS's reason in the container, and the task ends with it."""
    image = fargate.image(script.format(mebibytes=48))
    task = fargate.stopped(fargate.run(fargate.definition("holds", image, memory=32)))
    [container] = task["containers"]
    assert (container["exitCode"], container["reason"]) == (137, OUT_OF_MEMORY)
    assert (task["stopCode"], task["stoppedReason"]) == (
        "EssentialContainerExited",
        "Essential container in task exited",
    )


def test_the_tasks_memory_is_a_limit_for_all_its_containers(fargate: Fargate) -> None:
    """Two containers without limits of their own: the larger one is killed, and the other one is stopped with it."""
    images = [fargate.image(HOLD.format(mebibytes=size)) for size in (40, 80)]
    containers = [
        {"name": name, "image": image, "command": ["sh", "main.sh"], "stopTimeout": 2}
        for name, image in zip(("small", "large"), images, strict=True)
    ]
    definition = fargate.ecs.register_task_definition(
        family="together",
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="256",
        memory="512",
        containerDefinitions=containers,
    )["taskDefinition"]["taskDefinitionArn"]
    task = fargate.stopped(fargate.run(definition, overrides={"memory": "100"}))
    small, large = task["containers"]
    assert (large["exitCode"], large["reason"]) == (137, OUT_OF_MEMORY)
    assert small["exitCode"] == 143
    assert "reason" not in small


def test_a_container_within_its_memory_is_left_alone(fargate: Fargate) -> None:
    """It ends as it likes to; a kill from elsewhere is 137 too, but has no such reason."""
    image = fargate.image("python3 -c 'import time; held = bytearray(48 << 20); time.sleep(3)'\nkill -9 $$\n")
    container = ended(fargate, fargate.definition("modest", image, memory=256))
    assert container["exitCode"] == 137
    assert "reason" not in container


@pytest.mark.parametrize(
    ("text", "mebibytes"), [("512", 512), ("0.5 GB", 512), ("1GB", 1024), ("2gb", 2048), (None, None), ("lots", None)]
)
def test_a_tasks_memory_may_have_a_unit(text: str | None, mebibytes: int | None) -> None:
    """As ECS takes it."""
    assert task_limit(text) == mebibytes
