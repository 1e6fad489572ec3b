"""Which execution of a pipeline is the drill's own, and what it registered: values in, values out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pytest_envdr import shipments
from pytest_envdr.aws.codepipeline_executions import Action, Execution
from pytest_envdr.deliveries import Deployed
from pytest_envdr.errors import UndoFailed
from pytest_envdr.journal import Entry, Header, Inverse

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
BAD, OTHER = "badbad", "c0ffee"


def entry(*, identifier: str = "", **told: str) -> Entry:
    """What is owed for an execution; without its id it was never answered."""
    inverse = Inverse("codepipeline.StopPipelineExecution", {"pipelineName": "pipe", **told}, "none")
    result = {"pipelineExecutionId": identifier} if identifier else {}
    header = Header("ex-1", "123456789012", "eu-west-1", None)
    return Entry("1", header, "codepipeline.StartPipelineExecution", {}, inverse, NOW, bool(identifier), result)


def execution(
    name: str,
    revision: str = "",
    *,
    after: float,
    status: str = "InProgress",
    trigger: str = "StartPipelineExecution",
    target: str = "",
) -> Execution:
    """One that began so many seconds after the entry was written."""
    revisions, kind = {"Source": revision} if revision else {}, "ROLLBACK" if target else "STANDARD"
    return Execution(name, status, NOW + timedelta(seconds=after), trigger, revisions, kind, target)


def test_it_is_known_by_its_id() -> None:
    """Whatever else began since, and whatever revision that took."""
    listed = [execution("theirs", BAD, after=9), execution("ours", BAD, after=1), execution("old", BAD, after=-9)]
    assert shipments.among(listed, entry(identifier="ours", revision=BAD)) == shipments.Found(listed[1])


def test_without_an_id_it_is_known_by_its_revision() -> None:
    """The newest that took it, if somebody started it and no commit did."""
    listed = [
        execution("a commit's", BAD, after=5, trigger="Webhook"),
        execution("another's", OTHER, after=3),
        execution("ours", BAD, after=1),
    ]
    assert shipments.among(listed, entry(revision=BAD)) == shipments.Found(listed[2])
    assert shipments.among(listed[:2], entry(revision=BAD)) == shipments.Found(None)


def test_without_an_id_a_rollback_is_known_by_its_target() -> None:
    """And by nothing else: it takes a revision that others took as well."""
    listed = [execution("other", BAD, after=2, target="second"), execution("ours", BAD, after=1, target="first")]
    assert shipments.among(listed, entry(target="first")) == shipments.Found(listed[1])


def test_what_is_older_than_the_entry_is_not_its() -> None:
    """But for as much as the clocks may differ."""
    assert shipments.among([execution("old", BAD, after=-61)], entry(revision=BAD)) == shipments.Found(None)
    late = execution("late clock", BAD, after=-59)
    assert shipments.among([late], entry(revision=BAD)) == shipments.Found(late)


@pytest.mark.parametrize("status", ["Stopped", "Succeeded"])
def test_a_source_that_is_still_fetched_leaves_it_undecided(status: str) -> None:
    """One without a revision yet may turn out to be it, also where an earlier drill's took the same revision just
    before; one that has ended without any will not."""
    earlier = execution("an earlier drill's", BAD, after=-20, status=status)
    fetching = execution("ours, perhaps", after=1)
    assert shipments.among([fetching], entry(revision=BAD)) == shipments.Found(None, undecided=True)
    assert shipments.among([fetching, earlier], entry(revision=BAD)) == shipments.Found(earlier, undecided=True)
    failed = execution("failed", after=1, status="Failed")
    assert shipments.among([failed, earlier], entry(revision=BAD)) == shipments.Found(earlier)


BEFORE = {"pipelineName": "pipe", "service": "shop"}
RUN = Action("Deploy", "Deploy", "InProgress", "ecs-svc/1", "", NOW, NOW)
ONE, TWO = Deployed("ecs-svc/1", "task-definition/shop:7"), Deployed("ecs-svc/2", "task-definition/shop:8")


def test_one_revision_is_its() -> None:
    """What its action deployed; none where it has deployed nothing and named nothing."""
    assert list(shipments.certain(BEFORE, RUN, [ONE])) == [ONE.task_definition]
    assert list(shipments.certain(BEFORE, replace(RUN, external=""), [])) == []


def test_of_two_revisions_none_is_touched() -> None:
    """One of them is somebody else's: both are named, with the instant to look for."""
    with pytest.raises(UndoFailed, match="cannot be told: shop:7, shop:8 were deployed while its action ran") as told:
        list(shipments.certain(BEFORE, RUN, [ONE, TWO]))
    assert "registered at 2026-11-30 12:00:00 UTC" in str(told.value)


def test_a_deployment_that_ecs_shows_no_more() -> None:
    """It was named, so there is a revision to deregister, and somebody must look for it."""
    with pytest.raises(UndoFailed, match="cannot be told any more: ECS shows no deployment of it"):
        list(shipments.certain(BEFORE, RUN, []))
