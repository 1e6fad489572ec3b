"""ECS: typed services and tasks, and acts that say what they undo."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from datetime import UTC
from typing import TYPE_CHECKING

import pytest

from pytest_envdr.aws import Aws, ecs
from pytest_envdr.errors import NotFound
from pytest_envdr.journal import Header, Journal
from tests import account

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An open journal."""
    with Journal.open(
        tmp_path / "journal", Header("ex-9", account.ACCOUNT, account.REGION, account.endpoint())
    ) as journal:
        yield journal


@pytest.fixture
def calls() -> list[str]:
    """The operations that were called."""
    return []


@pytest.fixture
def aws(journal: Journal, calls: list[str]) -> Aws:
    """The account."""
    return Aws(account.stack(), journal, lambda call: calls.append(call.operation))


def test_a_service_is_a_typed_value(aws: Aws) -> None:
    """Counts, deployments and network come typed and frozen, instants in UTC, names without their ARNs' heads."""
    name = account.ecs_service(desired=2)
    service = ecs.service(aws, name, account.CLUSTER)
    assert (service.name, service.cluster, service.status) == (name, account.CLUSTER, "ACTIVE")
    assert (service.desired, service.running, service.pending) == (2, 0, 2)
    assert (service.controller, service.grace_seconds, service.launch_type) == ("ECS", 0, "FARGATE")
    assert service.resource_id == f"service/{account.CLUSTER}/{name}"
    assert service.primary is not None
    assert service.primary.id.startswith("ecs-svc/")
    assert service.primary.created_at.tzinfo is UTC
    with pytest.raises(FrozenInstanceError):
        service.desired = 3  # type: ignore[misc]


def test_steady_is_more_than_counts(aws: Aws) -> None:
    """Running = desired is not steady while a deployment is under way; a rolled-back or empty service is looked at as
    it is."""
    service = ecs.service(aws, account.ecs_service(desired=2), account.CLUSTER)
    primary = service.deployments[0]
    done = replace(primary, rollout_state="COMPLETED")
    assert not replace(service, running=2, pending=0, deployments=(primary,)).steady
    assert replace(service, running=2, pending=0, deployments=(done,)).steady
    assert not replace(service, running=1, pending=0, deployments=(done,)).steady
    assert not replace(service, running=2, pending=1, deployments=(done,)).steady
    assert replace(service, deployments=(done, replace(done, status="ACTIVE"))).deploying
    assert replace(service, deployments=()).deploying


def test_a_count_is_set_with_its_inverse(aws: Aws, journal: Journal) -> None:
    """The inverse is the count that stood there, and says so in words; the answer is the service as it now is."""
    name = account.ecs_service(desired=3)
    changed = ecs.set_desired_count(aws, journal, ecs.service(aws, name, account.CLUSTER), count=0)
    assert changed.desired == 0
    (entry,) = journal.owed()
    assert entry.inverse.restores == f"service {name} desired count 3"
    assert entry.inverse.arguments["desiredCount"] == 3
    assert entry.settled


def test_a_one_off_task_runs_a_command(aws: Aws, journal: Journal) -> None:
    """The service's task definition and network, another command, the exercise's tag, and a name of its own."""
    service = ecs.service(aws, account.ecs_service(desired=0), account.CLUSTER)
    task = ecs.run_task(aws, journal, service, container="app", command=["php", "artisan", "down"])
    assert task.task_definition == service.task_definition
    shown = account.plain("ecs").describe_tasks(cluster=account.CLUSTER, tasks=[task.arn], include=["TAGS"])["tasks"][0]
    assert shown["overrides"]["containerOverrides"][0]["command"] == ["php", "artisan", "down"]
    assert {"key": "envdr:exercise", "value": "ex-9"} in shown["tags"]
    assert journal.entries[0].result == {"tasks": [task.arn]}
    assert [one.arn for one in ecs.tasks_started_by(aws, account.CLUSTER, task.started_by)] == [task.arn]
    assert task.id in task.arn


def test_what_ecs_does_not_start_is_an_error(aws: Aws, journal: Journal) -> None:
    """A task definition that is not there: the error says what was to be run, and the entry stays owed."""
    service = replace(ecs.service(aws, account.ecs_service(), account.CLUSTER), cluster="nowhere")
    with pytest.raises(NotFound, match="`true` cannot be run in a task of svc-"):
        ecs.run_task(aws, journal, service, container="app", command=["true"])
    assert len(journal.owed()) == 1


def test_many_tasks_are_read_by_the_hundred(aws: Aws, journal: Journal, calls: list[str]) -> None:
    """DescribeTasks takes a hundred at most: the rest is asked for in further calls; none asks nothing."""
    service = ecs.service(aws, account.ecs_service(desired=0), account.CLUSTER)
    task = ecs.run_task(aws, journal, service, container="app", command=["true"])
    missing = [f"{task.arn[:-6]}{number:06}" for number in range(150)]
    calls.clear()
    assert [one.arn for one in ecs.described(aws, account.CLUSTER, [*missing, task.arn])] == [task.arn]
    assert calls == ["DescribeTasks", "DescribeTasks"]
    assert ecs.described(aws, account.CLUSTER, []) == []
    assert len(calls) == 2
