"""A queue's drill as a library runs it, held for tests to break; and others' hands on the queue, its cache and its
database."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import redis

from pytest_envdr import mariadb
from pytest_envdr.aws import rds
from pytest_envdr.drills import queues, restores
from pytest_envdr.exercise import Charge
from pytest_envdr.waiting import wait_until
from tests.drills.stranger import CLUSTER, PATIENCE, Stranger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.queues import Case, Fault, StoppedWorker
    from pytest_envdr.exercise import Exercise
    from pytest_envdr.ledger import Page

WORKER = "worker"


class Hand:
    """Somebody else's hand on a stack's queue, cache and database."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self.stranger = Stranger(aws.stack.path)

    @cached_property
    def cache(self) -> redis.Redis:
        """The cache that the workers use."""
        said = self.environment()
        return redis.Redis(said["REDIS_HOST"], int(said["REDIS_PORT"]), decode_responses=True)

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """A statement on the central database, and its rows."""
        row = self._aws.stack.database
        assert row is not None
        server = restores.source_server(self._aws, rds.instance(self._aws, row.instance))
        with mariadb.session(server, database=row.central) as cursor:
            cursor.execute(statement, values)
            return [tuple(found) for found in cursor.fetchall()]

    def environment(self) -> dict[str, str]:
        """The workers' variables."""
        return {one["name"]: one["value"] for one in self.definition()["containerDefinitions"][0]["environment"]}

    def definition(self) -> dict[str, Any]:
        """The workers' task definition."""
        wanted = self.stranger.service(WORKER)["taskDefinition"]
        answer = self.stranger.client("ecs").describe_task_definition(taskDefinition=wanted)
        return dict(answer["taskDefinition"])

    @contextmanager
    def deployed(self, variables: Mapping[str, str]) -> Iterator[None]:
        """The workers with other variables; those of before come back."""
        before, client = self.definition(), self.stranger.client("ecs")
        taken = client.meta.service_model.operation_model("RegisterTaskDefinition").input_shape.members
        row = {key: value for key, value in before.items() if key in taken}
        container = dict(row["containerDefinitions"][0])
        said = self.environment() | dict(variables)
        container["environment"] = [{"name": key, "value": value} for key, value in said.items()]
        other = client.register_task_definition(**row | {"containerDefinitions": [container]})["taskDefinition"]
        self._deploy(other["taskDefinitionArn"])
        try:
            yield
        finally:
            self._deploy(before["taskDefinitionArn"])
            client.deregister_task_definition(taskDefinition=other["taskDefinitionArn"])

    def strange_failure(self) -> str:
        """The uuid of a failed job that is no exercise's."""
        uuid = str(uuid4())
        self.sql(
            "INSERT INTO failed_jobs (uuid, connection, queue, payload, exception) "
            "VALUES (%s, 'redis', 'default', JSON_OBJECT('uuid', %s, 'displayName', 'SendInvoice'), 'x')",
            uuid,
            uuid,
        )
        return uuid

    @contextmanager
    def evicting(self, policy: str) -> Iterator[None]:
        """The cache with another maxmemory-policy in its parameter group; that of before comes back."""
        client = self.stranger.client("elasticache")
        group = client.describe_cache_clusters()["CacheClusters"][0]["CacheParameterGroup"]["CacheParameterGroupName"]
        before = self._policy()
        try:
            self._set_policy(client, group, policy)
            yield
        finally:
            self._set_policy(client, group, before)

    def _policy(self) -> str:
        return str(self.cache.info("memory")["maxmemory_policy"])

    def _set_policy(self, client: Any, group: str, policy: str) -> None:
        said = [{"ParameterName": "maxmemory-policy", "ParameterValue": policy}]
        client.modify_cache_parameter_group(CacheParameterGroupName=group, ParameterNameValues=said)
        wait_until(self._policy, lambda now: bool(now == policy), what=f"policy {policy}", deadline=PATIENCE)

    def left(self) -> dict[str, Any]:
        """All that a drill may leave behind, and what it must leave alone."""
        words = "dr_outbox", "dr_runs", "dr_effects"
        arns = self.stranger.client("ecs").list_tasks(cluster=CLUSTER)["taskArns"]
        alone = [arn for arn in arns if not self._of_a_service(arn)]
        return {
            "service": self.stranger.state(WORKER),
            "rows": {word: self.sql(f"SELECT COUNT(*) FROM {word}")[0][0] for word in words},  # noqa: S608
            "failed": self.sql("SELECT uuid FROM failed_jobs ORDER BY id"),
            "queue": self.places(),
            "alone": alone,
        }

    def places(self) -> dict[str, list[str]]:
        """What is in the queue, and which unique jobs' locks are held."""
        found: dict[str, list[str]] = {}
        for key in map(str, self.cache.scan_iter("envelope_database_*")):
            if "unique_job" in key:
                found[key] = []
            elif "queues:" in key and not key.endswith(":notify"):
                listed = self.cache.type(key) == "list"
                rows = self.cache.lrange(key, 0, -1) if listed else self.cache.zrange(key, 0, -1)
                found[key] = sorted(map(str, rows))
        return found

    def _of_a_service(self, arn: str) -> bool:
        found = self.stranger.client("ecs").describe_tasks(cluster=CLUSTER, tasks=[arn])["tasks"]
        return not found or str(found[0]["group"]).startswith("service:") or found[0]["lastStatus"] == "STOPPED"

    def _deploy(self, definition: str) -> None:
        self.stranger.change(WORKER, taskDefinition=definition)
        wait_until(
            lambda: [one["taskDefinition"] for one in self.stranger.service(WORKER)["deployments"]],
            lambda seen: bool(seen == [definition]),
            what=f"{definition} deployed",
            deadline=PATIENCE,
        )
        self.stranger.wait_until_steady(WORKER)


@dataclass
class Rehearsal:
    """A drill all of whose jobs are done, and what it finds when it looks again."""

    drill: Drill
    worker: StoppedWorker
    hand: Hand

    @property
    def case(self) -> Case:
        return self.worker.case

    @property
    def before(self) -> Page:
        """Queue and ledger just before the fault."""
        assert self.case.page is not None
        return self.case.page

    def job(self, kind: str, number: int = 0) -> str:
        """The business id of a job of a kind."""
        return [job.id for job in self.before.ledger.jobs if job.kind == kind][number]

    def validated(self) -> dict[str, str]:
        """All that fails it now: id -> title and detail; the next time begins empty."""
        self.drill.findings.clear()
        self.case.listing = None
        self.worker.wait_until_recovered()
        return failures(self.drill)

    def warnings(self) -> list[str]:
        """The ids of what was found lately and is no failure."""
        return [finding.id for finding in self.drill.findings if finding.severity != "failure"]


def failures(drill: Drill) -> dict[str, str]:
    """What fails a drill, by its id."""
    found: dict[str, str] = {}
    for finding in drill.failures:
        text = f"{finding.title} ({finding.detail})"
        found[finding.id] = f"{found[finding.id]}; {text}" if finding.id in found else text
    return found


@contextmanager
def stopping(exercise: Exercise, how: Fault = "stopped") -> Iterator[Rehearsal]:
    """The drill, as far as the fault."""
    drill = exercise.drill(Charge(f"rehearsal of {how} {uuid4().hex[:4]}", "worker_queue_recovery"))
    with queues.stopped(exercise.aws, exercise.journal, drill, how=how, settle_seconds=PATIENCE) as worker:
        yield Rehearsal(drill, worker, Hand(exercise.aws))
