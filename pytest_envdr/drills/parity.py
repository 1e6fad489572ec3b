"""Whether the standby Region has what the stack needs, before anything is built there (aws-semantics 9.1 to 9.5).

What is not there cannot be made in an emergency: a quota takes days, an image must have been replicated when it was
pushed, a key cannot be copied at all. So each is looked at in both Regions, and what is otherwise is a difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_envdr.aws import acm, ecr, ecs, ecs_definitions, kms, rds_replicas, secretsmanager, service_quotas
from pytest_envdr.drills import Finding
from pytest_envdr.errors import NotFound, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pytest_envdr.aws import Aws
    from pytest_envdr.aws.rds import Instance
    from pytest_envdr.drills import Drill, Severity
    from pytest_envdr.stack import Stack
    from pytest_envdr.tables import Secondary

NOTHING = "none"
USABLE_KEY = "Enabled"


@dataclass(frozen=True)
class Difference:
    """Something that is otherwise in the standby Region.

    Attributes:
        aspect: "quota", "instance class", "image", "key", "secret" or "certificate".
        name: of what.
        here, there: how it is in the primary and in the standby Region; a secret's contents are not shown.
        remedy: what to do about it.
        prevents: whether the stack cannot be built there at all.
    """

    aspect: str
    name: str
    here: str
    there: str
    remedy: str
    prevents: bool = False

    def __str__(self) -> str:
        return f"{self.aspect} {self.name}: {self.here} here, {self.there} there"

    @property
    def finding(self) -> Finding:
        severity: Severity = "failure" if self.prevents or self.aspect == "certificate" else "warning"
        return Finding(
            f"region.{self.aspect.replace(' ', '-')}",
            severity,
            f"{self.aspect} {self.name} is otherwise in the standby Region",
            f"{self.here} here, {self.there} there",
            self.remedy,
        )


def differences(here: Aws, there: Aws, row: Secondary, instance: Instance) -> list[Difference]:
    """All that is otherwise in the standby Region; empty where the stack can be built there.

    Args:
        here, there: the two Regions.
        row: the stack file's.
        instance: the database.
    """
    return [
        *_quotas(here, there, row.quotas),
        *_instance_class(here, there, instance),
        *_images(here, there, running_images(here)),
        *_keys(there, row.keys),
        *_secrets(here, there, row.secrets),
        *_certificates(here, there, row.certificates),
    ]


def check(drill: Drill, found: Iterable[Difference], *, stack: Stack) -> None:
    """Tell the differences; what prevents the stack from being built is a refusal.

    Raises:
        Refused: with each of those.
    """
    listed = list(found)
    rows = [(one.aspect, one.name, one.here, one.there, "yes" if one.prevents else "no") for one in listed]
    columns = ("aspect", "of", "here", "there", "prevents a failover")
    caption = f"{stack.region} and {stack.standby_region}; empty where all is the same."
    drill.table("Parity of the Regions", columns, rows, caption=caption)
    for one in listed:
        drill.finding(one.finding)
    if preventing := [one for one in listed if one.prevents]:
        lines = "\n".join(f"  {one}; to go on: {one.remedy}" for one in preventing)
        raise Refused(
            f"Nothing was touched: {stack.standby_region} lacks what the stack needs, and it could not be built "
            f"there:\n{lines}\nLooked at: both Regions, and {stack.path}: [secondary]"
        )


def running_images(aws: Aws) -> dict[str, tuple[ecr.Reference, str]]:
    """What the running task definitions' images are: reference -> where it is in ECR, and the digest that runs."""
    found: dict[str, tuple[ecr.Reference, str]] = {}
    for row in aws.stack.services.values():
        service = ecs.service(aws, row.name, row.cluster)
        running = ecs.tasks(aws, row.cluster, row.name)
        for container in ecs_definitions.task_definition(aws, service.task_definition).containers:
            reference = ecr.reference(container.image)
            if reference is not None and container.image not in found:
                digests = (task.digests.get(container.name, "") for task in running)
                digest = next(filter(None, digests), "") or ecr.digest(aws, reference)
                found[container.image] = reference, digest
    return found


def _quotas(here: Aws, there: Aws, names: Iterable[str]) -> Iterator[Difference]:
    for name in names:
        service, _, code = name.partition("/")
        ours = service_quotas.quota(here, service, code)
        try:
            theirs = f"{service_quotas.quota(there, service, code).value:g}"
        except NotFound:
            theirs = NOTHING
        if theirs == NOTHING or float(theirs) < ours.value:
            what = f"{name} ({ours.name})"
            yield Difference("quota", what, f"{ours.value:g}", theirs, "Have it raised there.")


def _instance_class(here: Aws, there: Aws, instance: Instance) -> Iterator[Difference]:
    wanted = f"{instance.engine} {instance.engine_version} on {instance.instance_class}"
    offered = rds_replicas.is_offered(
        there, engine=instance.engine, version=instance.engine_version, instance_class=instance.instance_class
    )
    if not offered:
        remedy = f"Choose an instance class and an engine version that {there.stack.region} offers, in both Regions."
        yield Difference(
            "instance class", wanted, f"in use in {here.stack.region}", "not offered", remedy, prevents=True
        )


def _images(here: Aws, there: Aws, images: Mapping[str, tuple[ecr.Reference, str]]) -> Iterator[Difference]:
    """By digest: a tag may have moved, and only what was pushed after replication began is replicated."""
    for image, (reference, digest) in images.items():
        by_digest = ecr.Reference(reference.account, there.stack.region, reference.repository, {"imageDigest": digest})
        if not digest or ecr.digest(there, by_digest) != digest:
            remedy = f"Replicate {reference.repository} to {there.stack.region}, then push the image again."
            yield Difference(
                "image", image, digest[:19] or f"gone from {here.stack.region}", NOTHING, remedy, prevents=True
            )


def _keys(there: Aws, keys: Iterable[str]) -> Iterator[Difference]:
    for key in keys:
        try:
            state = kms.key_state(there, key)
        except NotFound:
            state = NOTHING
        if state != USABLE_KEY:
            remedy = "Make a key there, or a replica of a multi-Region key; one of a single Region cannot be converted."
            yield Difference("key", key, "needed", state, remedy, prevents=True)


def _secrets(here: Aws, there: Aws, secrets: Iterable[str]) -> Iterator[Difference]:
    """The same contents: with another APP_KEY what the application encrypted is lost (aws-semantics 9.4)."""
    for name in secrets:
        ours, theirs = secretsmanager.fingerprint(here, name), secretsmanager.fingerprint(there, name)
        if not ours or ours != theirs:
            remedy = f"Replicate it to {there.stack.region}."
            state = "other contents" if theirs else NOTHING
            yield Difference("secret", name, "there" if ours else NOTHING, state, remedy, prevents=True)


def _certificates(here: Aws, there: Aws, hosts: Iterable[str]) -> Iterator[Difference]:
    wanted = list(hosts)
    if not wanted:
        return
    ours, theirs = acm.certificates(here), acm.certificates(there)
    for host in wanted:
        states = [one.status for one in theirs if one.covers(host)]
        if "ISSUED" not in states:
            state = next((one.status for one in ours if one.covers(host)), NOTHING)
            remedy = f"Request one in {there.stack.region}: its validation may take longer than a failover may."
            yield Difference("certificate", host, state, states[0] if states else NOTHING, remedy)
