"""Each way in which a rollback may be broken turns its own finding red, or is refused before anything is touched.

Somebody breaks one thing of a running stack; then a user runs the drill, or a library does. Services are broken side by
side; what must be refused is refused within a second and needs no lane.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.errors import Refused
from pytest_envdr.timeline import Mark
from tests.drills import deployment_rig as rig
from tests.drills import lanes, runs
from tests.drills.stranger import Stranger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

SECOND_TAG = "second"
OFF: dict[str, Any] = {"deploymentCircuitBreaker": {"enable": True, "rollback": False}}
DISABLED: dict[str, Any] = {"deploymentCircuitBreaker": {"enable": False, "rollback": False}}
CAREFREE = {"minimumHealthyPercent": 0, "maximumPercent": 100}


@dataclass(frozen=True, eq=False)
class Break:
    """A way to break a service's way back.

    Attributes:
        name: the test's id.
        word: which service.
        way, kind: which drill shall turn red.
        breaking: breaks it on entering, given the run's place as well, mends it on leaving.
        findings: what fails the drill, and words of each.
        says: what the run must say.
        promised: the objective.
    """

    name: str
    word: str
    way: str
    kind: str
    breaking: Callable[[Stranger, str, runs.Place], AbstractContextManager[None]]
    findings: dict[str, str]
    says: str
    promised: dict[str, float]


@contextmanager
def always_passing(stranger: Stranger, word: str, _: runs.Place) -> Iterator[None]:
    """A health check of a page that knows nothing of the application's health."""
    with rig.checked_elsewhere(stranger, word, "/api/tenants"):
        yield


@contextmanager
def carefree(stranger: Stranger, word: str, _: runs.Place) -> Iterator[None]:
    """A service all of whose tasks may go before new ones serve."""
    with rig.configured(stranger, word, **CAREFREE):
        yield


@contextmanager
def moving_tag(stranger: Stranger, word: str, place: runs.Place) -> Iterator[None]:
    """A service whose image has a tag that somebody moves to the bad image while it is deployed."""
    with rig.own_tag(stranger, word, SECOND_TAG), rig.meanwhile(lambda: moved(stranger, place)):
        yield


def moved(stranger: Stranger, place: runs.Place) -> None:
    """Wait for the fault; move the tag."""
    place.wait_until_down()
    rig.tagged(stranger, SECOND_TAG, rig.manifest(stranger, "answers-500"))


RED = [
    Break(
        "health check that always passes",
        "api",
        rig.BREAKER,
        "unhealthy",
        always_passing,
        {"deployment.not-rolled-back": "SUCCESSFUL"},
        "did not take the broken deployment of envelope-prod-api back by itself",
        rig.AMPLE,
    ),
    Break(
        "minimumHealthyPercent 0",
        "hq",
        rig.BREAKER,
        "exits",
        carefree,
        {"deployment.below-minimum": "only 0 tasks of before were left"},
        "assert {'http 503':",
        rig.AMPLE,
    ),
    Break(
        "mutable tag moved meanwhile",
        "tenant",
        rig.HAND,
        "answers-500",
        moving_tag,
        {"recovery.none": "runs another image than before"},
        "[recovery.none] envelope-prod-tenant did not come back",
        rig.BRIEF,
    ),
]
GATED = [pytest.param(case, marks=() if case is RED[1] else pytest.mark.sweep) for case in RED]
"""What the gate takes; a sweep takes all."""


@pytest.fixture(scope="module")
def outcome_of(
    request: pytest.FixtureRequest, sandbox_stack: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Break], rig.Ran]]:
    """What became of the run on a stack that is broken in one way."""
    above, stranger = tmp_path_factory.mktemp("broken-deployments"), Stranger(sandbox_stack)

    def do(case: Break) -> rig.Ran:
        place = runs.Place(above / case.name.replace(" ", "-"))
        place.directory.mkdir()
        stranger.wait_until_steady(case.word)
        with case.breaking(stranger, case.word, place):
            return rig.drilled(sandbox_stack, place.directory, case.word, case.way, case.kind, promised=case.promised)

    with lanes.side_by_side(lanes.wanted(request, RED), lane=lambda case: case.word, do=do) as outcome_of:
        yield outcome_of


@pytest.mark.parametrize("case", GATED, ids=lambda case: case.name)
def test_a_break_is_found(case: Break, outcome_of: Callable[[Break], rig.Ran]) -> None:
    """The run fails, by this finding and no other, which names what is broken; and the service is as before."""
    ran = outcome_of(case)
    assert ran.code == pytest.ExitCode.TESTS_FAILED, ran.said
    assert list(ran.place.failures) == list(case.findings), ran.said
    for finding, words in case.findings.items():
        assert words in ran.place.failures[finding]
    assert case.says in ran.said
    assert ran.place.record["verdict"] == ran.place.drill["verdict"] == "failed"
    assert ran.as_before


@pytest.mark.parametrize("case", GATED[:1], ids=lambda case: case.name)
def test_a_hand_helps_where_nothing_noticed(case: Break, outcome_of: Callable[[Break], rig.Ran]) -> None:
    """Where ECS calls the broken deployment a success, the drill deploys the revision of before, says that it had to,
    and the service recovers all the same."""
    drill, noticed = outcome_of(case).place.drill, outcome_of(case).noticed()
    assert any("deployed by hand" in one["text"] for one in drill["deviations"])
    assert noticed["circuit breaker"] == ("never", "MONITORING_COMPLETE: 0 failed tasks, threshold 3")
    assert noticed["rolled back by hand"][0] != "never"
    names = [mark["name"] for mark in drill["marks"]]
    assert {Mark.RECOVERED, Mark.VERIFIED} <= set(names)
    assert Mark.SEEN not in names, "nobody saw it"


@pytest.mark.parametrize("case", RED[1:2], ids=lambda case: case.name)
def test_an_outage_is_counted(case: Break, outcome_of: Callable[[Break], rig.Ran]) -> None:
    """Where no task of before is left, clients fail, and the weakness is told before anything is touched."""
    ran = outcome_of(case)
    assert ran.place.drill["probe"]["classes"].keys() >= {"HTTP 503"}
    assert ran.noticed()["a client"][0] != "never"
    warned = [one["detail"] for one in ran.place.drill["findings"] if one["id"] == "deployment.minimum"]
    assert warned == ["minimumHealthyPercent is 0"]


@pytest.mark.parametrize("case", GATED[2:], ids=lambda case: case.name)
def test_tasks_run_what_the_tag_means_now(case: Break, outcome_of: Callable[[Break], rig.Ran]) -> None:
    """Rolled back to the very task definition of before, the service answers 500 still: no such run has an RTA."""
    drill = outcome_of(case).place.drill
    assert drill["rta_seconds"] is None
    assert drill["probe"]["outage_ongoing"]


def check_refused(stack_file: Path, directory: Path, word: str, words: str, *, kind: str = "exits") -> None:
    """The drill is refused with these words; nothing of it changed anything."""
    stranger = Stranger(stack_file)
    before = rig.looked_at(stranger, word)
    with (
        pytest.raises(Refused, match="Nothing was touched") as refused,
        rig.rehearsing(rig.aimed(stack_file, directory, word), directory, kind),
    ):
        pass
    assert words in str(refused.value)
    assert runs.Place(directory).changes == []
    assert runs.Place(directory).owed == []
    assert rig.looked_at(stranger, word) == before


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(OFF, id="rolls nothing back"),
        pytest.param(DISABLED, id="circuit breaker off", marks=pytest.mark.sweep),
    ],
)
def test_no_way_back_is_refused(sandbox_stack: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    """With the circuit breaker off, or one that does not roll back, a bad deployment would stay."""
    with rig.configured(Stranger(sandbox_stack), "worker", **changes):
        check_refused(sandbox_stack, tmp_path, "worker", "its deployment circuit breaker is off, or does not roll back")


@pytest.fixture(scope="module")
def second(sandbox_stack: Path) -> Iterator[str]:
    """The service reverb with a revision of its own (its ARN), whose image has a tag of its own."""
    with rig.own_tag(Stranger(sandbox_stack), "reverb", "third") as revision:
        yield revision


def test_an_image_that_was_deleted_is_refused(sandbox_stack: Path, tmp_path: Path, second: str) -> None:
    """What runs cannot be started again once a lifecycle policy took its image out of the registry."""
    stranger = Stranger(sandbox_stack)
    assert second
    kept = rig.manifest(stranger, "third")
    rig.untagged(stranger, "third")
    try:
        check_refused(sandbox_stack, tmp_path, "reverb", "envelope:third is not in the registry any more")
    finally:
        rig.tagged(stranger, "third", kept)


def test_a_tag_that_was_moved_is_refused(sandbox_stack: Path, tmp_path: Path, second: str) -> None:
    """A mutable tag that points at the bad image already: to roll back would be to deploy that."""
    stranger = Stranger(sandbox_stack)
    assert second
    kept = rig.manifest(stranger, "third")
    rig.tagged(stranger, "third", rig.manifest(stranger, "answers-500"))
    try:
        check_refused(sandbox_stack, tmp_path, "reverb", "the tag was moved")
    finally:
        rig.tagged(stranger, "third", kept)


def test_an_inactive_revision_is_refused(sandbox_stack: Path, tmp_path: Path, second: str) -> None:
    """A tool that deregisters the old revision takes the way back away; the service itself runs on."""
    Stranger(sandbox_stack).client("ecs").deregister_task_definition(taskDefinition=second)
    check_refused(sandbox_stack, tmp_path, "reverb", f"{second.rpartition('/')[2]} is INACTIVE")


@pytest.mark.sweep  # a busy machine deploys before its alarm looks
def test_deployment_alarms_are_named_as_who_noticed(sandbox_stack: Path, tmp_path: Path) -> None:
    """A service whose deployments watch the alarm on its errors: what the circuit breaker cannot see is rolled back by
    ECS all the same, and the report names the alarm."""
    stranger = Stranger(sandbox_stack)
    stranger.wait_until_steady("hq")
    (alarm,) = stranger.stack["services"]["hq"]["error_alarms"]
    stranger.wait_until_alarm(alarm, "OK")
    stack = rig.aimed(sandbox_stack, tmp_path, "hq")
    watched = {"alarms": {"alarmNames": [alarm], "enable": True, "rollback": True}}
    with rig.configured(stranger, "hq", **watched), rig.rehearsing(stack, tmp_path, "answers-500") as (_, drill, bad):
        state = bad.wait_until_rolled_back()
        recovery = bad.wait_until_recovered()
    assert state is not None
    assert (state.status, state.alarms) == ("ROLLBACK_SUCCESSFUL", (alarm,))
    assert drill.failures == []
    assert recovery.rta_seconds > 0
    notes = [entry.data["text"] for entry in drill.entries if entry.kind == "note"]
    assert f"seen by alarm {alarm}" in notes
    (rows,) = (one.data["rows"] for one in drill.entries if one.kind == "table" and one.data["title"] == rig.WITNESSES)
    noticed = {who: (when, what) for who, when, what in rows}
    assert noticed["deployment alarms"] == (noticed["rolled back by ECS"][0], f"TRIGGERED: {alarm}")
    assert noticed["circuit breaker"][0] == "never"
    assert noticed[f"alarm {alarm}"][0] != "never"
