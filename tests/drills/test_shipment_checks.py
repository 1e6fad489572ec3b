"""What is wrong with a pipeline after a rollback, each fault by itself: values in, findings out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pytest_envdr.aws.codepipeline import Deploy
from pytest_envdr.aws.codepipeline_executions import Execution
from pytest_envdr.aws.ecs_deployments import Breaker, Rollback, ServiceDeployment
from pytest_envdr.drills import shipment_checks
from pytest_envdr.drills.routes import Route
from pytest_envdr.drills.shipping import Again
from pytest_envdr.probe import Outage
from pytest_envdr.stack import HttpProbe, Service
from pytest_envdr.tables import SourceRevision

NOW = datetime(2026, 11, 29, tzinfo=UTC)
GOOD, BAD, ELSE = "c0ffee", "badbad", "f00d"
DIGESTS, OTHER = {"api": "sha256:" + "1" * 64}, {"api": "sha256:" + "2" * 64}
LOST = Outage(1.0, 2.0, {"http 503": 4}, 9)
WELL = Again("third", "Succeeded", (GOOD,), (GOOD,), (DIGESTS, DIGESTS), Outage(None, None, {}, 10))
ROUTE = Route(
    Service(name="shop", cluster="cluster", probe=HttpProbe(url="http://127.0.0.1")),
    "pipe",
    Deploy("Deploy", "Deploy", "cluster", "shop"),
    "exits",
    SourceRevision(commit_id=BAD),
    Execution("first", "Succeeded", NOW, "Webhook", {"Source": GOOD}),
)
TAKEN = ServiceDeployment(
    "arn",
    "ROLLBACK_SUCCESSFUL",
    "",
    "revision",
    NOW,
    NOW,
    NOW,
    Breaker("TRIGGERED", 3, 3),
    (),
    (),
    "DISABLED",
    Rollback("because", NOW, "revision"),
)
STOPPED = replace(TAKEN, status="STOPPED", rollback=None)


def test_what_ran_before_was_shipped() -> None:
    """The intended revision, the digests of before in every task, no client failed: nothing is found."""
    assert list(shipment_checks.check_again(ROUTE, WELL, DIGESTS)) == []


@pytest.mark.parametrize(
    ("again", "finding", "words"),
    [
        (replace(WELL, revisions=(BAD,)), "pipeline.revision", "took the broken revision again"),
        (replace(WELL, revisions=(ELSE,)), "pipeline.revision", "took another revision than intended"),
        (replace(WELL, revisions=()), "pipeline.revision", "it took none"),
        (replace(WELL, digests=(DIGESTS, OTHER)), "pipeline.digest", "1 of 2 tasks run api sha256:222222222222"),
        (replace(WELL, digests=()), "pipeline.digest", "no task of shop runs"),
        (replace(WELL, status="Superseded"), "pipeline.not-again", "it is Superseded"),
        (replace(WELL, status="Failed"), "pipeline.not-again", "it is Failed"),
        (
            replace(WELL, outage=LOST),
            "pipeline.outage",
            "http 503 \N{MULTIPLICATION SIGN} 4",
        ),
    ],
)
def test_what_was_shipped_is_not_what_ran_before(again: Again, finding: str, words: str) -> None:
    """Another revision, other digests, no task, an execution that did not succeed, clients that failed: a failure
    each, and no other."""
    (found,) = shipment_checks.check_again(ROUTE, again, DIGESTS)
    assert (found.id, found.severity) == (finding, "failure")
    assert words in str(found)


@pytest.mark.parametrize(
    ("status", "state", "expected"),
    [
        ("Succeeded", TAKEN, [("pipeline.green", "failure")]),
        ("Succeeded", STOPPED, [("pipeline.green", "warning")]),
        ("Succeeded", None, [("pipeline.green", "warning")]),
        ("InProgress", TAKEN, [("pipeline.unaware", "note")]),
        ("Failed", TAKEN, []),
    ],
)
def test_what_the_pipeline_says(status: str, state: ServiceDeployment | None, expected: list[tuple[str, str]]) -> None:
    """A green pipeline over a service that ECS rolled back is a failure, over one that a hand did a warning; one that
    is still at it has not noticed; a red one has."""
    found = shipment_checks.check_outcome(ROUTE, "second", status, state)
    assert [(one.id, one.severity) for one in found] == expected
