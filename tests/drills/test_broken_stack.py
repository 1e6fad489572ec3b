"""The drill can fail, and for the right reason: somebody breaks the running stack in one way, a user runs the drill.

Each run is red, names what is broken, and leaves the service as it found it. Some runs take more than a minute, because
a drill waits for a late recovery and for a stack to become quiet: services are broken side by side.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.stack import read
from pytest_envdr.waiting import wait_until
from tests.drills import lanes, runs
from tests.drills.stranger import CLUSTER, PATIENCE, Stranger, copied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

SELF_HEALING, FULL_OUTAGE = "self_healing", "full_outage"
SERVE = """
case "$(cat '{0}/mode' 2>/dev/null)" in
  ''|well) exec sh bin/serve ;;
  *) exec php -q -S "$TASK_IP:8000" "{0}/$(cat '{0}/mode').php" ;;
esac
"""
UP = "<?php if ($_SERVER['REQUEST_URI'] === '/up') { return print('up'); } "
PAGES = {
    "error": UP + "http_response_code(500);",
    "another": UP + "header('Content-Type: application/json'); echo json_encode(['value' => 'of another']);",
}
"""What an application answers that is healthy to the load balancer and of no use to anybody."""


@pytest.fixture(scope="module")
def outcome_of(
    request: pytest.FixtureRequest, battered_stack: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Break], Outcome]]:
    """What became of the run on a stack that is broken in one way."""
    above = tmp_path_factory.mktemp("breaks")

    def do(case: Break) -> Outcome:
        directory = above / case.name.replace(" ", "-")
        directory.mkdir()
        return drilled(case, battered_stack, directory)

    with lanes.side_by_side(lanes.wanted(request, BREAKS), lane=lambda case: case.service, do=do) as outcome_of:
        yield outcome_of


@dataclass(frozen=True)
class Outcome:
    """A run: what it left in the evidence, how it ended, what it said, the service before and after it."""

    place: runs.Place
    code: int
    said: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    left: list[str]


@dataclass(frozen=True, eq=False)
class Break:
    """A way to break a service.

    Attributes:
        name: the test's id.
        service: which service.
        way: which of the two drills shall turn red.
        breaking: breaks it on entering, mends it on leaving.
        finding: the finding that must name it; "" where the drill is refused, or where there is nothing to find.
        says: what finding or refusal must say; `{service}` and `{alarm}` are its names.
        objective: what is promised.
        row: keys of the service's table in the stack file.
    """

    name: str
    service: str
    way: str
    breaking: Callable[[Stranger, str, Path], AbstractContextManager[None]]
    finding: str
    says: str
    objective: Mapping[str, float] = field(default_factory=lambda: {"rto_seconds": 18, "detect_seconds": 30})
    row: Mapping[str, Any] = field(default_factory=dict)


def drilled(case: Break, stack_file: Path, directory: Path) -> Outcome:
    """Break the service, let a user run the drill, mend the service."""
    place, stranger = runs.Place(directory), Stranger(stack_file)
    stack = copied(
        stack_file,
        directory / "stack.toml",
        objectives__ecs_failover=case.objective,
        **{f"services__{case.service}": case.row},
    )
    with case.breaking(stranger, case.service, directory):
        before = stranger.state(case.service)
        run = runs.begin(place, stack, "--envdr-service", case.service, "-k", case.way)
        code, said = runs.ended(run)
        after = stranger.state(case.service)
        left = stranger.left_by(place.exercise)
    return Outcome(place, code, said, before, after, left)


@contextmanager
def no_break(_: Stranger, __: str, ___: Path) -> Iterator[None]:
    """Nothing is broken: what is promised cannot be kept."""
    yield


def serving(mode: str) -> Callable[[Stranger, str, Path], AbstractContextManager[None]]:
    """An application that serves well until its tasks are started again."""

    @contextmanager
    def breaking(stranger: Stranger, word: str, directory: Path) -> Iterator[None]:
        (directory / "serve").write_text(SERVE.format(directory))
        for name, page in PAGES.items():
            (directory / f"{name}.php").write_text(page)
        with deployed(stranger, word, command=["sh", str(directory / "serve")]):
            stranger.wait_until_steady(word)
            (directory / "mode").write_text(mode)
            yield

    return breaking


@contextmanager
def deployed(stranger: Stranger, word: str, **changes: Any) -> Iterator[None]:
    """Another revision of a service's task definition, without a circuit breaker; the one before comes back."""
    client, before = stranger.client("ecs"), stranger.service(word)
    definition = client.describe_task_definition(taskDefinition=before["taskDefinition"])["taskDefinition"]
    taken = client.meta.service_model.operation_model("RegisterTaskDefinition").input_shape.members
    definition["containerDefinitions"][0] |= changes
    made = client.register_task_definition(**{key: value for key, value in definition.items() if key in taken})
    patient = before["deploymentConfiguration"] | {"deploymentCircuitBreaker": {"enable": False, "rollback": False}}
    stranger.change(word, taskDefinition=made["taskDefinition"]["taskDefinitionArn"], deploymentConfiguration=patient)
    try:
        yield
    finally:
        kept = {key: before[key] for key in ("taskDefinition", "deploymentConfiguration")}
        stranger.change(word, **kept)
        stranger.wait_until_steady(word)


@contextmanager
def deploying(stranger: Stranger, word: str, _: Path) -> Iterator[None]:
    """A deployment that does not end: nothing ever calls its tasks healthy."""
    unwell = {"command": ["CMD-SHELL", "exit 1"], "interval": 300, "timeout": 5, "retries": 10, "startPeriod": 300}
    with deployed(stranger, word, healthCheck=unwell):
        yield


@contextmanager
def meanwhile(act: Callable[[threading.Event], None]) -> Iterator[None]:
    """Somebody who acts at the same time, until told to stop."""
    over = threading.Event()
    actor = threading.Thread(target=act, args=(over,))
    actor.start()
    try:
        yield
    finally:
        over.set()
        actor.join()


@contextmanager
def flapping(stranger: Stranger, word: str, directory: Path) -> Iterator[None]:
    """A service whose processes die each time that the drill believes in it."""
    place = runs.Place(directory)

    def act(over: threading.Event) -> None:
        killed = 0
        while not over.wait(0.2):
            notes = [event["data"]["text"] for event in place.events if event["kind"] == "note"]
            if (believed := sum("all is well" in note for note in notes)) > killed:
                stranger.kill(word)
                killed = believed

    with meanwhile(act):
        yield
    stranger.wait_until_steady(word)


def fighting(fight: Callable[[Stranger, str], None]) -> Callable[[Stranger, str, Path], AbstractContextManager[None]]:
    """Somebody who raises the service again as soon as it is down."""

    @contextmanager
    def breaking(stranger: Stranger, word: str, _: Path) -> Iterator[None]:
        def act(over: threading.Event) -> None:
            while stranger.service(word)["desiredCount"]:
                if over.wait(0.1):
                    return
            fight(stranger, word)

        with meanwhile(act):
            yield
        stranger.wait_until_steady(word)

    return breaking


def awake(stranger: Stranger, word: str) -> None:
    """Register the scalable target anew, with nothing suspended."""
    state = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
    stranger.register(word, SuspendedState=dict.fromkeys(state, False))


def raised(stranger: Stranger, word: str) -> None:
    """Set the desired count."""
    stranger.change(word, desiredCount=1)


def alarmed(**changes: Any) -> Callable[[Stranger, str, Path], AbstractContextManager[None]]:
    """The service's alarm configured otherwise."""

    @contextmanager
    def breaking(stranger: Stranger, word: str, _: Path) -> Iterator[None]:
        with changed_alarm(stranger, word) as alarm:
            stranger.client("cloudwatch").put_metric_alarm(**alarm | changes)
            yield

    return breaking


@contextmanager
def changed_alarm(stranger: Stranger, word: str) -> Iterator[dict[str, Any]]:
    """The service's alarm as it is; afterwards it is so again, and quiet."""
    (name,) = stranger.stack["services"][word]["alarms"]
    alarm = stranger.alarm(name)
    try:
        yield alarm
    finally:
        stranger.client("cloudwatch").put_metric_alarm(**alarm)
        stranger.wait_until_alarm(name, "OK")


@contextmanager
def unalarmed(stranger: Stranger, word: str, _: Path) -> Iterator[None]:
    """The service's alarm deleted."""
    with changed_alarm(stranger, word) as alarm:
        stranger.client("cloudwatch").delete_alarms(AlarmNames=[alarm["AlarmName"]])
        yield


@contextmanager
def firing(stranger: Stranger, word: str, directory: Path) -> Iterator[None]:
    """The service's alarm in ALARM, for a threshold that cannot be met."""
    with alarmed(Threshold=1000)(stranger, word, directory):
        stranger.wait_until_alarm(stranger.stack["services"][word]["alarms"][0], "ALARM")
        yield


@contextmanager
def retired(stranger: Stranger, word: str, _: Path) -> Iterator[None]:
    """A service beside it that was deleted."""
    client, row = stranger.client("ecs"), stranger.service(word)
    kept = {key: row[key] for key in ("taskDefinition", "launchType", "networkConfiguration")}
    client.create_service(cluster=CLUSTER, serviceName=RETIRED, desiredCount=0, **kept)
    client.delete_service(cluster=CLUSTER, service=RETIRED, force=True)
    wait_until(
        lambda: client.describe_services(cluster=CLUSTER, services=[RETIRED])["services"][0]["status"],
        lambda status: bool(status == "INACTIVE"),
        what="the service deleted",
        deadline=PATIENCE,
    )
    yield


@contextmanager
def lowered(stranger: Stranger, word: str, _: Path) -> Iterator[None]:
    """A service whose desired count is 0 already."""
    before = stranger.service(word)["desiredCount"]
    stranger.change(word, desiredCount=0)
    try:
        yield
    finally:
        stranger.change(word, desiredCount=before)


RETIRED = "envelope-prod-retired"
BRIEF = {"rto_seconds": 6, "detect_seconds": 30}
BLIND = {"rto_seconds": 18, "detect_seconds": 15}
RAISED = "its desired count went to 1"
GONE, ELSEWHERE = {"name": RETIRED}, {"name": "elsewhere"}
FOUND = [
    Break(
        "500 after restart", "hq", SELF_HEALING, serving("error"), "recovery.none", "{service} did not come back", BRIEF
    ),
    Break("another value", "tenant", SELF_HEALING, serving("another"), "recovery.none", "wrong value last", BRIEF),
    Break(
        "flapping",
        "reverb",
        SELF_HEALING,
        flapping,
        "recovery.flapping",
        "{service} came back and did not hold",
        {"rto_seconds": 24},
    ),
    Break("scalable target fights", "api", FULL_OUTAGE, fighting(awake), "outage.fought", RAISED, BLIND),
    Break("count raised", "hq", FULL_OUTAGE, fighting(raised), "outage.fought", RAISED, BLIND),
    Break("alarm deleted", "hq", FULL_OUTAGE, unalarmed, "alarm.missing", "alarm {alarm} does not exist"),
    Break(
        "actions not wired",
        "tenant",
        FULL_OUTAGE,
        alarmed(AlarmActions=[]),
        "alarm.not-wired",
        "alarm {alarm} does not tell {topic}",
    ),
    Break(
        "actions disabled",
        "tenant",
        FULL_OUTAGE,
        alarmed(ActionsEnabled=False),
        "alarm.actions-disabled",
        "alarm {alarm} has its actions disabled",
    ),
    Break(
        "outage invisible",
        "tenant",
        FULL_OUTAGE,
        alarmed(TreatMissingData="missing"),
        "alarm.blind",
        "{alarm} does not see a total outage: it went to INSUFFICIENT_DATA",
        BLIND,
    ),
    Break(
        "missing data not breaching",
        "api",
        FULL_OUTAGE,
        alarmed(TreatMissingData="notBreaching"),
        "alarm.not-fired",
        "{alarm} did not fire within 15 s of the outage",
        BLIND,
    ),
]
REFUSED = [
    Break("in ALARM already", "scheduler", FULL_OUTAGE, firing, "", "in ALARM before the drill: {alarm}"),
    Break("deployment in progress", "worker", SELF_HEALING, deploying, "", "a deployment is in progress"),
    Break("service deleted", "worker", FULL_OUTAGE, retired, "", f"{RETIRED} is INACTIVE, not ACTIVE", row=GONE),
    Break("service unknown", "worker", FULL_OUTAGE, no_break, "", "There is no service elsewhere", row=ELSEWHERE),
    Break("service down", "worker", FULL_OUTAGE, lowered, "", "wants no task"),
]
LATE = Break("RTO too short", "hq", SELF_HEALING, no_break, "", "<= 1.0", {"rto_seconds": 1})
WELL = Break("nothing", "api", FULL_OUTAGE, no_break, "", "1 passed")
BREAKS = [*FOUND, *REFUSED, LATE, WELL]


def words(case: Break, stack_file: Path) -> str:
    """What the run must say."""
    stack = read(stack_file)
    row = stack.services[case.service]
    return case.says.format(service=row.name, alarm=", ".join(row.alarms), topic=stack.notifications.topic)


def as_before(outcome: Outcome) -> bool:
    """Whether the run left the service as it found it: nothing owed, nothing of its own left."""
    return outcome.after == outcome.before and not outcome.left and not outcome.place.owed


@pytest.mark.parametrize("case", lanes.thinned(FOUND, every=10), ids=lambda case: case.name)
def test_a_break_is_found(case: Break, outcome_of: Callable[[Break], Outcome], battered_stack: Path) -> None:
    """The run fails, a finding names what is broken, on the terminal and in the record; the service is as before."""
    outcome = outcome_of(case)
    assert outcome.code == pytest.ExitCode.TESTS_FAILED, outcome.said
    assert words(case, battered_stack) in outcome.place.failures[case.finding]
    assert f"[{case.finding}]" in outcome.said
    assert outcome.place.record["verdict"] == outcome.place.drill["verdict"] == "failed"
    assert as_before(outcome)


@pytest.mark.parametrize("case", lanes.thinned(REFUSED, every=3), ids=lambda case: case.name)
def test_an_unfit_service_is_refused(case: Break, outcome_of: Callable[[Break], Outcome], battered_stack: Path) -> None:
    """The run fails with the reason, and no call that changes anything was made."""
    outcome = outcome_of(case)
    assert outcome.code == pytest.ExitCode.TESTS_FAILED, outcome.said
    assert words(case, battered_stack) in outcome.said
    assert outcome.place.changes == []
    assert outcome.place.record["verdict"] == outcome.place.drill["verdict"] == "failed"
    assert as_before(outcome)


@pytest.mark.parametrize("case", [LATE], ids=lambda case: case.name)
def test_a_late_recovery_is_red(case: Break, outcome_of: Callable[[Break], Outcome], battered_stack: Path) -> None:
    """The service came back and held, and the run fails all the same, with the RTA above the RTO in the record."""
    outcome = outcome_of(case)
    assert outcome.code == pytest.ExitCode.TESTS_FAILED, outcome.said
    assert words(case, battered_stack) in outcome.said
    drill = outcome.place.drill
    assert drill["rta_seconds"] > drill["rto_seconds"]
    assert drill["verdict"] == "failed"
    assert drill["findings"] == []
    assert as_before(outcome)


@pytest.mark.parametrize("case", [WELL], ids=lambda case: case.name)
def test_mended_it_is_green(case: Break, outcome_of: Callable[[Break], Outcome]) -> None:
    """The same run on the same stack, on a service that was broken before and is mended, passes."""
    outcome = outcome_of(case)
    assert outcome.code == pytest.ExitCode.OK, outcome.said
    assert case.says in outcome.said
    assert outcome.place.drill["verdict"] == "passed"
    assert as_before(outcome)


@pytest.mark.sweep
def test_a_removed_subscription_is_found(battered_stack: Path, tmp_path: Path) -> None:
    """The alarm fires and the drill's own queue hears it, but the people on call would not have: red."""
    (oncall,) = read(battered_stack).notifications.subscribers
    case = Break("", "hq", FULL_OUTAGE, unsubscribed, "subscriber.missing", "")
    outcome = drilled(case, battered_stack, tmp_path)
    assert outcome.code == pytest.ExitCode.TESTS_FAILED, outcome.said
    assert list(outcome.place.failures) == ["subscriber.missing"]
    assert f"{oncall} is not subscribed" in outcome.place.failures["subscriber.missing"]
    assert as_before(outcome)


@contextmanager
def unsubscribed(stranger: Stranger, _: str, __: Path) -> Iterator[None]:
    """The on-call queue taken off the topic, which every service's alarms speak to."""
    client, row = stranger.client("sns"), stranger.stack["notifications"]
    (oncall,) = row["subscribers"]
    found = client.list_subscriptions_by_topic(TopicArn=row["topic"])["Subscriptions"]
    client.unsubscribe(SubscriptionArn=next(one["SubscriptionArn"] for one in found if one["Endpoint"] == oncall))
    try:
        yield
    finally:
        client.subscribe(TopicArn=row["topic"], Protocol="sqs", Endpoint=oncall)
