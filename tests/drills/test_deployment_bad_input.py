"""Stack files and services that no bad deployment may be tried on: each is refused with a reason, nothing was touched.

The services are made for this, beside the stack's own, and are deleted again.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.errors import EnvdrError, NotFound, Refused
from pytest_envdr.waiting import wait_until
from tests.drills import deployment_rig as rig
from tests.drills import lanes, runs
from tests.drills.stranger import CLUSTER, PATIENCE, Stranger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

WORD = "scheduler"
"""Whose place in the stack file the services take that are made here."""
NAME = "envelope-prod-beside"
UNWELL = {"command": ["CMD-SHELL", "exit 1"], "interval": 300, "timeout": 5, "retries": 10, "startPeriod": 300}
"""Nothing ever calls such a task healthy, or unhealthy."""


def refused(
    stack_file: Path,
    directory: Path,
    *,
    kind: str = "exits",
    word: str = WORD,
    error: type[EnvdrError] = Refused,
    **changes: Mapping[str, Any],
) -> str:
    """Why a drill is refused with a stack file that has these tables; it must not have changed anything."""
    stack = rig.aimed(stack_file, directory, word, **changes)
    with pytest.raises(error) as told, rig.rehearsing(stack, directory, kind):
        pass
    place = runs.Place(directory)
    assert place.changes == []
    assert place.owed == []
    return str(told.value)


@contextmanager
def beside(stranger: Stranger, **arguments: Any) -> Iterator[dict[str, Any]]:
    """A service like WORD's beside it; gives the stack file's tables that name it. Deleted on leaving."""
    ecs, row = stranger.client("ecs"), stranger.service(WORD)
    taken = ["taskDefinition", "launchType", "networkConfiguration"]
    if "deploymentController" not in arguments:  # the circuit breaker is ECS's own
        taken.append("deploymentConfiguration")
    kept = {key: row[key] for key in taken}
    ecs.create_service(cluster=CLUSTER, serviceName=NAME, **{"desiredCount": 1, **kept, **arguments})
    try:
        yield {f"services__{WORD}": {"name": NAME}}
    finally:
        retire(stranger)


def retire(stranger: Stranger) -> None:
    """Delete the service if that was not done, and wait until it is."""
    ecs = stranger.client("ecs")

    def status() -> str:
        return str(ecs.describe_services(cluster=CLUSTER, services=[NAME])["services"][0]["status"])

    if status() == "ACTIVE":
        ecs.delete_service(cluster=CLUSTER, service=NAME, force=True)
    wait_until(status, lambda now: now == "INACTIVE", what=f"{NAME} deleted", deadline=PATIENCE)


def test_a_service_that_the_stack_file_lacks(sandbox_stack: Path, tmp_path: Path) -> None:
    """[bad_deployment] names a key that [services] does not have: the message lists those that there are."""
    said = refused(sandbox_stack, tmp_path, word="elsewhere")
    assert "[bad_deployment] names service 'elsewhere'" in said
    assert "api, worker, scheduler" in said


def test_a_service_that_ecs_lacks(sandbox_stack: Path, tmp_path: Path) -> None:
    """The stack file's service is not there: the message says where its name came from."""
    said = refused(sandbox_stack, tmp_path, error=NotFound, services__scheduler={"name": "nowhere"})
    assert "There is no service nowhere in cluster" in said


def test_a_kind_without_an_image(sandbox_stack: Path, tmp_path: Path) -> None:
    """A way of being broken that the stack file has no image for."""
    said = refused(sandbox_stack, tmp_path, kind="mines-bitcoin")
    assert "no image of which one can say: mines-bitcoin" in said
    assert "cannot-be-pulled, exits" in said


IMAGES = {
    "broken image not pushed": ("exits", "{registry}:never-pushed", "is not in the registry"),
    "image that can be pulled": ("cannot-be-pulled", "{registry}:exits", "can be pulled"),
    "image that runs": ("exits", "{running}", "is the very one that runs"),
}


@pytest.mark.parametrize("name", lanes.thinned(list(IMAGES), every=3))
def test_an_image_that_is_not_broken_so(name: str, sandbox_stack: Path, tmp_path: Path) -> None:
    """What the registry tells of the image contradicts the kind: the drill would prove something else, or nothing."""
    kind, image, words = IMAGES[name]
    running = rig.definition(Stranger(sandbox_stack), WORD)["containerDefinitions"][0]["image"]
    image = image.format(registry=running.rpartition(":")[0], running=running)
    said = refused(sandbox_stack, tmp_path, kind=kind, bad_deployment__images={kind: image})
    assert said.startswith("Nothing was touched: image")
    assert words in said


@pytest.mark.parametrize("controller", ["CODE_DEPLOY", pytest.param("EXTERNAL", marks=pytest.mark.sweep)])
def test_another_controller(controller: str, sandbox_stack: Path, tmp_path: Path) -> None:
    """A service that ECS does not deploy by itself knows no circuit breaker."""
    with beside(Stranger(sandbox_stack), deploymentController={"type": controller}) as tables:
        said = refused(sandbox_stack, tmp_path, **tables)
    assert f"is deployed by {controller}" in said


def test_a_first_deployment(sandbox_stack: Path, tmp_path: Path) -> None:
    """A service of which no deployment was ever completed has nothing to go back to."""
    stranger = Stranger(sandbox_stack)
    ecs, request = stranger.client("ecs"), rig.definition(stranger, WORD)
    request["family"], request["containerDefinitions"][0]["healthCheck"] = NAME, UNWELL
    made = ecs.register_task_definition(**request)["taskDefinition"]["taskDefinitionArn"]
    with beside(stranger, taskDefinition=made) as tables:
        said = refused(sandbox_stack, tmp_path, **tables)
    ecs.deregister_task_definition(taskDefinition=made)
    assert "no deployment of it has completed (PRIMARY IN_PROGRESS)" in said


@pytest.mark.sweep
def test_a_first_deployment_that_failed(sandbox_stack: Path, tmp_path: Path) -> None:
    """Nor has one whose first deployment the circuit breaker ended: ECS found no candidate for a rollback."""
    stranger = Stranger(sandbox_stack)
    ecs, request = stranger.client("ecs"), rig.definition(stranger, WORD)
    container = request["containerDefinitions"][0]
    request["family"], container["image"] = NAME, f"{container['image'].rpartition(':')[0]}:exits"
    made = ecs.register_task_definition(**request)["taskDefinition"]["taskDefinitionArn"]
    with beside(stranger, taskDefinition=made) as tables:
        wait_until(
            lambda: ecs.describe_services(cluster=CLUSTER, services=[NAME])["services"][0]["deployments"],
            lambda rows: bool(rows and rows[0]["rolloutState"] == "FAILED"),
            what="the first deployment failed",
            deadline=PATIENCE,
        )
        said = refused(sandbox_stack, tmp_path, **tables)
    ecs.deregister_task_definition(taskDefinition=made)
    assert "no deployment of it has completed (PRIMARY FAILED)" in said


@pytest.mark.sweep
def test_a_deployment_in_progress(sandbox_stack: Path, tmp_path: Path) -> None:
    """Somebody deploys already: what the drill then saw would be theirs."""
    stranger = Stranger(sandbox_stack)
    ecs, before = stranger.client("ecs"), stranger.service(WORD)["taskDefinition"]
    request = rig.definition(stranger, WORD)
    request["containerDefinitions"][0]["healthCheck"] = UNWELL
    made = ecs.register_task_definition(**request)["taskDefinition"]["taskDefinitionArn"]
    stranger.change(WORD, taskDefinition=made)
    try:
        said = refused(sandbox_stack, tmp_path)
    finally:
        rig.deployed(stranger, WORD, before)
        ecs.deregister_task_definition(taskDefinition=made)
    assert "a deployment is in progress (PRIMARY IN_PROGRESS, ACTIVE COMPLETED)" in said


def test_a_service_that_was_deleted(sandbox_stack: Path, tmp_path: Path) -> None:
    """ECS still tells of a deleted service for a while: INACTIVE."""
    with beside(Stranger(sandbox_stack)) as tables:
        retire(Stranger(sandbox_stack))
        said = refused(sandbox_stack, tmp_path, **tables)
    assert f"Service {NAME} is INACTIVE, not ACTIVE" in said


def test_a_user_is_told(sandbox_stack: Path, tmp_path: Path) -> None:
    """A user's run of such a drill is red, shows the reason, and its evidence has no call that changes anything."""
    place = runs.Place(tmp_path)
    stack = rig.aimed(sandbox_stack, tmp_path, "elsewhere")
    code, said = runs.ended(runs.begin(place, stack, "-m", rig.SCENARIO, "-k", f"{rig.BREAKER} and exits"))
    assert code == pytest.ExitCode.TESTS_FAILED, said
    assert "[bad_deployment] names service 'elsewhere'" in said
    assert place.changes == []
    assert place.drill["verdict"] == "failed"
