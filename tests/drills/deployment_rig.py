"""Bad deployments to a service of one's choice, as a user runs them or step by step; and what somebody else does to its
images, its task definition and its way back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pytest_envdr.drills import deployments
from pytest_envdr.exercise import Charge
from pytest_envdr.waiting import wait_until
from tests.drills import restored, runs
from tests.drills.stranger import CLUSTER, PATIENCE, Stranger, copied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.deployments import BadDeployment
    from pytest_envdr.exercise import Exercise

SCENARIO = "bad_deployment_rollback"
REPOSITORY = "envelope"
AMPLE, BRIEF = {"rto_seconds": 42.0}, {"rto_seconds": 12.0}
"""What is promised: a recovery may take its time on a slow machine and must hold for 7 s; or is given up soon."""
BREAKER, HAND, STOPPED = "circuit_breaker", "manual", "stopped_by_hand"
WITNESSES, ENDS = "Who noticed the broken deployment", "How the broken tasks ended"


@dataclass(frozen=True)
class Ran:
    """A user's run: what it left in the evidence, how it ended, what it said, the service before and after."""

    place: runs.Place
    code: int
    said: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]

    @property
    def as_before(self) -> bool:
        """Whether the run left the service as it found it, and nothing of its own."""
        return self.before == self.after and not self.place.owed

    def table(self, title: str) -> list[list[str]]:
        """The rows of a table of its one drill."""
        (found,) = (one["rows"] for one in self.place.drill["tables"] if one["title"] == title)
        return list(found)

    def noticed(self) -> dict[str, tuple[str, str]]:
        """Who noticed it: when, and what."""
        return {who: (when, what) for who, when, what in self.table(WITNESSES)}

    def mark(self, name: str) -> datetime:
        """The instant of a mark of its one drill."""
        return at(next(one["at"] for one in self.place.drill["marks"] if one["name"] == name))


def at(text: str) -> datetime:
    """An instant of the record."""
    return datetime.fromisoformat(text)


def aimed(stack_file: Path, directory: Path, word: str, **changes: Mapping[str, Any]) -> Path:
    """A copy of a stack file whose bad deployments go to a service that no pipeline ships to, and which
    promises AMPLE."""
    directory.mkdir(parents=True, exist_ok=True)
    deployed = {"service": word, "pipeline": ""}  # the stack's pipeline ships to the api alone
    tables: dict[str, Mapping[str, Any]] = {"bad_deployment": deployed, f"objectives__{SCENARIO}": AMPLE}
    return copied(stack_file, directory / "stack.toml", **tables | changes)


def drilled(
    stack_file: Path, directory: Path, word: str, way: str, kind: str, *, promised: Mapping[str, float] = AMPLE
) -> Ran:
    """A user's run of one drill on a service that is steady."""
    stranger, place = Stranger(stack_file), runs.Place(directory)
    before = looked_at(stranger, word)
    chosen = ("-m", SCENARIO, "-k", f"{way} and {kind}")
    stack = aimed(stack_file, directory, word, **{f"objectives__{SCENARIO}": promised})
    code, said = runs.ended(runs.begin(place, stack, *chosen))
    return Ran(place, code, said, before, looked_at(stranger, word))


def looked_at(stranger: Stranger, word: str) -> dict[str, Any]:
    """All of a service that a drill changes, and the revisions that could be deployed to it."""
    family = stranger.name(word)
    arns = stranger.client("ecs").list_task_definitions(familyPrefix=family, status="ACTIVE")["taskDefinitionArns"]
    return {**stranger.state(word), "revisions": sorted(arns)}


@contextmanager
def rehearsing(
    stack_file: Path, directory: Path, kind: str, *, way: deployments.Way = "", settle_seconds: float = 1.0
) -> Iterator[tuple[Exercise, Drill, BadDeployment]]:
    """A bad deployment as a library makes it, without pytest's fixtures."""
    with restored.exercising(stack_file, directory) as exercise:
        drill = exercise.drill(Charge(f"rehearsal of {kind}", SCENARIO))
        with deployments.deployed_badly(
            exercise.aws, exercise.journal, drill, kind=kind, way=way, settle_seconds=settle_seconds
        ) as bad:
            yield exercise, drill, bad


def service_deployments(stranger: Stranger, word: str, *, since: datetime) -> list[dict[str, Any]]:
    """The changes of a service since an instant, oldest first, as ECS tells of them."""
    client = stranger.client("ecs")
    listed = client.list_service_deployments(cluster=CLUSTER, service=stranger.name(word))["serviceDeployments"]
    arns = [row["serviceDeploymentArn"] for row in listed if row["createdAt"] >= since - timedelta(seconds=1)]
    rows = client.describe_service_deployments(serviceDeploymentArns=arns)["serviceDeployments"]
    return sorted(rows, key=lambda row: row["createdAt"])


def stopped_tasks(stranger: Stranger, word: str) -> list[dict[str, Any]]:
    """A service's tasks that have stopped, as far as ECS still shows them."""
    client = stranger.client("ecs")
    arns = client.list_tasks(cluster=CLUSTER, serviceName=stranger.name(word), desiredStatus="STOPPED")["taskArns"]
    return list(client.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"]) if arns else []


def definition(stranger: Stranger, word: str) -> dict[str, Any]:
    """What a service runs, as RegisterTaskDefinition takes it."""
    client = stranger.client("ecs")
    row = client.describe_task_definition(taskDefinition=stranger.service(word)["taskDefinition"])["taskDefinition"]
    taken = client.meta.service_model.operation_model("RegisterTaskDefinition").input_shape.members
    return {key: value for key, value in row.items() if key in taken}


def manifest(stranger: Stranger, tag: str) -> str:
    """The manifest of an image in the registry."""
    images = stranger.client("ecr").batch_get_image(repositoryName=REPOSITORY, imageIds=[{"imageTag": tag}])["images"]
    return str(images[0]["imageManifest"])


def tagged(stranger: Stranger, tag: str, text: str) -> None:
    """Put a tag on the image of a manifest; a tag that is taken is moved."""
    ecr = stranger.client("ecr")
    ecr.put_image_tag_mutability(repositoryName=REPOSITORY, imageTagMutability="MUTABLE")
    try:
        ecr.put_image(repositoryName=REPOSITORY, imageTag=tag, imageManifest=text)
    finally:
        ecr.put_image_tag_mutability(repositoryName=REPOSITORY, imageTagMutability="IMMUTABLE")


def untagged(stranger: Stranger, tag: str) -> None:
    """Take a tag away; the image stays where it has another."""
    stranger.client("ecr").batch_delete_image(repositoryName=REPOSITORY, imageIds=[{"imageTag": tag}])


@contextmanager
def own_tag(stranger: Stranger, word: str, tag: str) -> Iterator[str]:
    """A service that runs a revision of its own, whose image has a tag of its own; gives the revision (its ARN)."""
    ecs, before = stranger.client("ecs"), stranger.service(word)["taskDefinition"]
    request = definition(stranger, word)
    container = request["containerDefinitions"][0]
    registry, _, version = container["image"].rpartition(":")
    tagged(stranger, tag, manifest(stranger, version))
    container["image"] = f"{registry}:{tag}"
    made = str(ecs.register_task_definition(**request)["taskDefinition"]["taskDefinitionArn"])
    try:
        deployed(stranger, word, made)
        yield made
    finally:
        deployed(stranger, word, before)
        ecs.deregister_task_definition(taskDefinition=made)
        untagged(stranger, tag)


def deployed(stranger: Stranger, word: str, revision: str) -> None:
    """Deploy a revision, and wait until the service is steady with it."""
    stranger.change(word, taskDefinition=revision)
    stranger.wait_until_steady(word)


@contextmanager
def configured(stranger: Stranger, word: str, **changes: Any) -> Iterator[None]:
    """A service whose deployments are configured otherwise."""
    before = stranger.service(word)["deploymentConfiguration"]
    stranger.change(word, deploymentConfiguration={**before, **changes})
    try:
        yield
    finally:
        stranger.change(word, deploymentConfiguration=before)
        stranger.wait_until_steady(word)


@contextmanager
def checked_elsewhere(stranger: Stranger, word: str, path: str) -> Iterator[None]:
    """A service whose load balancer checks the health of another page."""
    client, (group,) = (
        stranger.client("elbv2"),
        (one["targetGroupArn"] for one in stranger.service(word)["loadBalancers"]),
    )
    before = client.describe_target_groups(TargetGroupArns=[group])["TargetGroups"][0]["HealthCheckPath"]
    client.modify_target_group(TargetGroupArn=group, HealthCheckPath=path)
    try:
        yield
    finally:
        client.modify_target_group(TargetGroupArn=group, HealthCheckPath=before)
        stranger.wait_until_steady(word)


@contextmanager
def meanwhile(act: Callable[[], None]) -> Iterator[None]:
    """Somebody who acts once at the same time; what went wrong there is raised here."""
    with ThreadPoolExecutor(1) as pool:
        acting = pool.submit(act)
        yield
        acting.result()


def wait_until_ended(stranger: Stranger, word: str) -> None:
    """Until a service's newest deployment has ended, well or not."""
    wait_until(
        lambda: stranger.service(word)["deployments"][0]["rolloutState"],
        lambda state: state in ("COMPLETED", "FAILED"),
        what=f"the deployment of {word} ended",
        deadline=PATIENCE,
    )
