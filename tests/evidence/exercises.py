"""Exercises as they would be recorded, told in seconds: what the tests of the evidence are made of."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pytest_envdr.evidence.events import EventLog
from pytest_envdr.timeline import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CRITERION = "With desired count 0 the outage is seen and paged; restored, the service answers again within its RTO."
STEPS = """ECS Service Failover: a service is lost altogether, and comes back.

Kick-off   The service is steady, its alarms are OK, its runbook is at hand.
Trigger    Auto scaling is suspended, the desired count is set to 0.
Observe    No healthy target; the client gets 503; the alarm reaches the on-call queue.
Recover    The desired count is restored, then auto scaling.
Validate   Steady state, healthy targets, the probe's value read back, and holding.
Document   The alarm's history and the service's events are kept."""
STACK = {
    "name": "envelope-prod",
    "endpoint": "http://127.0.0.1:4566",
    "account": "123456789012",
    "region": "eu-west-1",
    "version": "moto 5.2.5",
}
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


class Teller:
    """Writes the events of an exercise at the second at which they are said to happen."""

    def __init__(self, directory: Path, *, kind: str = "sandbox", speed: float = 10, exercise_id: str = "") -> None:
        self.clock = Clock()
        self.zero = self.clock.monotonic()
        self.log = EventLog(directory, exercise_id, self.clock)
        self.drill: str | None = None
        self.shift = 0.0
        self.at(
            0,
            "exercise.begin",
            id=exercise_id or "20260504-101500-k3f9",
            stack={**STACK, "kind": kind, "speed": speed},
            versions={"pytest-envdr": "0.1.0", "pytest": "9.2.0", "boto3": "1.44.5", "python": "3.11.2"},
            commit="4c1f0e2a9b7d4e0f8a6b5c3d2e1f0a9b8c7d6e5f",
            dirty=False,
            user="mira",
            host="build-7",
            command="pytest dr_tests -m ecs_failover",
            statement="",
        )

    def at(self, second: float, kind: str, /, **data: Any) -> None:
        """An event at that second of the drill, or of the exercise before there is one."""
        self.log.write(kind, drill=self.drill, clock=self.zero + self.shift + second, **data)

    def begin(self, node_id: str, *, shift: float, service: str | None = "api", **changes: Any) -> None:
        """A drill begins, `shift` seconds into the exercise."""
        self.drill, self.shift = node_id, shift
        told: dict[str, Any] = {
            "scenario": "ecs_failover",
            "title": "ECS Service Failover",
            "service": service,
            "criterion": CRITERION,
            "steps": STEPS,
            "runbook": {"path": "runbooks/ecs-failover.md", "sha256": SHA256, "found": True},
            "objectives": {"rto_seconds": 30, "rpo_seconds": None, "detect_seconds": None},
        }
        self.at(0, "drill.begin", **{**told, **changes})

    def marks(self, **seconds: float) -> None:
        """Marks by name."""
        for name, second in seconds.items():
            self.at(second, "mark", name=name, **({"error_seconds": 0.3} if name == "recovered" else {}))

    def phases(self, *bounds: tuple[str, float, float]) -> None:
        """Phases as (name, begin, end)."""
        for name, begin, end in bounds:
            self.at(begin, "phase.begin", phase=name)
            self.at(end, "phase.end", phase=name)

    def probe(self, begin: float, down: float, up: float, end: float, *, every: float = 0.25) -> None:
        """A client's answers: good, then failing from `down` on, good again from `up` on."""
        second, number = begin, 0
        while second < end:
            ok = not down <= second < up
            error = None if ok else "ReadTimeout: no answer within 1 s" if number % 7 == 0 else None
            status = 200 if ok else None if error else 503
            took = 1000 if error else 18 + number % 11 * 3 + (140 if ok and up <= second < up + 1 else 0)
            self.at(second, "probe", ok=ok, status=status, error=error, milliseconds=took, value_ok=ok or None)
            second += every
            number += 1

    def call(self, second: float, operation: str, fidelity: str | None = "acted", **changes: Any) -> None:
        """An API call, as `service.Operation`."""
        service, name = operation.split(".")
        told = {"request_id": f"req-{second:g}-{name}", "status": 200, "milliseconds": 9, "error": None}
        self.at(second, "aws.call", service=service, operation=name, fidelity=fidelity, **{**told, **changes})

    def report(self, outcome: str = "passed", *, when: str = "call", longrepr: str | None = None) -> None:
        """What pytest would have said of the test."""
        assert self.drill
        report: dict[str, Any] = {
            "$report_type": "TestReport",
            "nodeid": self.drill,
            "location": [self.drill.split("::")[0], 10, self.drill.split("::")[-1]],
            "keywords": {},
            "outcome": outcome,
            "longrepr": longrepr,
            "when": when,
            "user_properties": [],
            "sections": [["Captured log call", "INFO envdr: desired count of envelope-prod-api is 0"]],
            "duration": 41.0 if when == "call" else 0.2,
            "start": 0.0,
            "stop": 0.0,
        }
        self.at(50, "report", report=report)

    def end(self, outcome: str = "passed", *, longrepr: str | None = None, second: float = 42) -> None:
        """The drill ends, and pytest reports on it."""
        self.at(second, "drill.end", outcome=outcome, longrepr=longrepr)
        self.report(when="setup")
        self.report(outcome, longrepr=longrepr)
        self.report(when="teardown")

    def finish(self, exit_status: int = 0) -> None:
        """The exercise ends."""
        self.drill = None
        self.at(50, "exercise.end", exit_status=exit_status)
        self.log.close()


@contextmanager
def exercise(directory: Path, *, kind: str = "sandbox", **rest: Any) -> Iterator[Teller]:
    """An exercise that comes to its end."""
    teller = Teller(directory, kind=kind, **rest)
    yield teller
    teller.finish()


def outage(
    teller: Teller, node_id: str, *, shift: float, service: str = "api", slower: float = 0, **begin: Any
) -> None:
    """A whole drill but for its end: down at 4, seen at 10, back at 16, verified at 19 seconds, later if slower."""
    back, verified = 16 + slower, 19 + slower
    teller.begin(node_id, shift=shift, service=service, **begin)
    teller.phases(
        ("kick-off", 0, 4),
        ("trigger", 4, 4.6),
        ("observe", 4.6, 10.4),
        ("recover", 10.4, back),
        ("validate", back, verified),
        ("document", verified, verified + 2),
    )
    teller.marks(fault=4, seen=10, recovered=back, verified=verified)
    teller.probe(1, 5.1, back, verified + 1.5)
    _calls(teller, back)
    _facts(teller, back, service)
    _remarks(teller, service)
    restores = f"service envelope-prod-{service} desired count 2"
    for second, state in ((4, "intended"), (4.1, "settled"), (10.5, "reversed")):
        teller.at(second, "journal", act="ecs.UpdateService", restores=restores, state=state)


def _calls(teller: Teller, back: float) -> None:
    teller.call(0.2, "sts.GetCallerIdentity", "stored")
    teller.call(0.4, "ecs.DescribeServices")
    teller.call(0.5, "application-autoscaling.DescribeScalableTargets", "simulated")
    teller.call(4, "ecs.UpdateService")
    for second in range(5, int(back) + 3):
        teller.call(second, "ecs.DescribeServices")
        teller.call(second + 0.1, "elbv2.DescribeTargetHealth")
    teller.call(9.8, "sqs.ReceiveMessage", "simulated")
    teller.call(back, "ecs.ListTasks", status=400, error="ThrottlingException: Rate exceeded")


def _facts(teller: Teller, back: float, service: str) -> None:
    alarm = f"envelope-prod-{service}-no-healthy-host"
    for number in (1, 2):
        teller.at(4.4 + number / 5, "aws.fact", what=f"task {number}c0ffee stopped", text="ServiceSchedulerInitiated")
        teller.at(back - 4 + number / 5, "aws.fact", what=f"task {number + 2}c0ffee started", text="RUNNING")
    teller.at(9.2, "aws.fact", what=f"alarm {alarm}: StateUpdate", text="Alarm updated from OK to ALARM")
    teller.at(back + 2, "aws.fact", what=f"alarm {alarm}: StateUpdate", text="Alarm updated from ALARM to OK")
    text = f"(service envelope-prod-{service}) has reached a steady state."
    teller.at(back + 1.2, "aws.fact", what="service event", text=text)


def _remarks(teller: Teller, service: str) -> None:
    teller.at(0.6, "note", text="Auto scaling holds the service between 1 and 4 tasks; it was suspended first.")
    teller.at(
        10,
        "finding",
        id="alarm-missing-data",
        severity="warning",
        title=f"A total outage leaves envelope-prod-{service}-5xx without data",
        detail="The alarm treats missing data as `missing`: with no requests it is INSUFFICIENT_DATA, not ALARM.",
        remedy='Set TreatMissingData to "breaching", or keep the no-healthy-host alarm beside it.',
    )
    teller.at(
        10,
        "wait",
        what="the alarm's message at the on-call queue",
        deadline_seconds=18.0,
        took_seconds=5.4,
        satisfied=True,
    )
    teller.at(19, "wait", what="all targets healthy", deadline_seconds=30.0, took_seconds=2.6, satisfied=True)


def failover(directory: Path) -> None:
    """A realistic exercise: two passes, a pass that was too slow, a failure and a skip."""
    test = "dr_tests/test_ecs_failover.py::test_full_outage"
    with exercise(directory) as teller:
        outage(teller, f"{test}[api]", shift=2)
        teller.at(
            3, "deviation", text="The on-call engineer was not paged by telephone: the plan's step 3 was left out."
        )
        attach(teller, directory, "alarm-history.json", '{"AlarmHistoryItems": [{"HistoryItemType": "StateUpdate"}]}')
        teller.end()
        outage(teller, f"{test}[tenant]", shift=60, service="tenant", slower=5.6)
        teller.end()
        outage(teller, f"{test}[hq]", shift=120, service="hq", slower=21)
        teller.end(second=60)
        failed(teller, f"{test}[worker]", shift=190)
        teller.begin(f"{test}[reverb]", shift=250, service="reverb")
        teller.at(1, "drill.end", outcome="skipped", longrepr="no runbook for reverb")
        teller.report("skipped", when="setup")
        teller.report(when="teardown")


def failed(teller: Teller, node_id: str, *, shift: float) -> None:
    """A drill whose service never came back."""
    teller.begin(node_id, shift=shift, service="worker", runbook={"path": "gone.md", "sha256": None, "found": False})
    teller.phases(("kick-off", 0, 2), ("trigger", 2, 2.5), ("observe", 2.5, 7), ("recover", 7, 40))
    teller.marks(fault=2, seen=6.5)
    teller.probe(1, 3, 99, 40, every=0.5)
    teller.call(2, "ecs.UpdateService")
    teller.at(40, "wait", what="a job done", deadline_seconds=30.0, took_seconds=30.1, satisfied=False)
    teller.at(
        40,
        "finding",
        id="not-recovered",
        severity="failure",
        title="No job was done within 30 s after the desired count was restored",
        detail="Tasks reached RUNNING, and stopped with exit code 1 after 2 s.",
        remedy="Read /ecs/envelope-prod-worker: the queue's password is refused.",
    )
    teller.at(
        2, "journal", act="ecs.UpdateService", restores="service envelope-prod-worker desired count 2", state="intended"
    )
    teller.end("failed", longrepr="dr_tests/test_ecs_failover.py:41: WaitTimedOut: a job done, within 30 s", second=41)


def attach(teller: Teller, directory: Path, name: str, text: str) -> None:
    """A file beside the events."""
    (directory / "attachments").mkdir(exist_ok=True)
    (directory / "attachments" / name).write_text(text)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    path = f"attachments/{name}"
    teller.at(20, "attachment", name=name, path=path, media_type="application/json", sha256=sha256)
