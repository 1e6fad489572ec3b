"""Whether an outage would be noticed, and whether it was: alarms, their topic, a subscriber of the drill's own."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from pytest_envdr.aws import cloudwatch, sns, sqs
from pytest_envdr.drills import Finding
from pytest_envdr.errors import Refused, WaitTimedOut

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.journal import Journal

SKEW = timedelta(seconds=5)
"""How far AWS's clock may be from this machine's."""

FED_BY_OUTAGES = (
    "HTTPCode_ELB_5XX_Count",
    "HTTPCode_ELB_503_Count",
    "HTTPCode_ELB_502_Count",
    "RejectedConnectionCount",
)
"""Metrics that an outage itself brings forth, as long as there is traffic."""


@dataclass(frozen=True)
class Received:
    """An alarm's message as a subscriber got it; `clock` is the monotonic instant of receiving."""

    alarm: str
    state: str
    at: str
    clock: float


@dataclass
class Watch:
    """What shall notice the outage, and what it did so far.

    Attributes:
        alarms: those that shall fire and exist.
        telling: of them, those whose message can arrive: actions enabled, wired to the topic, not muted.
        queue: the drill's own subscriber.
        received: messages, in order.
        fired: alarms that were seen in ALARM.
    """

    topic: str
    alarms: tuple[cloudwatch.Alarm, ...]
    telling: frozenset[str]
    queue: sqs.Queue
    received: list[Received] = field(default_factory=list)
    fired: set[str] = field(default_factory=set)

    @property
    def names(self) -> list[str]:
        return [alarm.name for alarm in self.alarms]

    @property
    def told(self) -> set[str]:
        """The alarms of this service whose ALARM message arrived."""
        return {one.alarm for one in self._alarmed}

    @property
    def first_told(self) -> Received | None:
        """The first ALARM message of this service's that arrived."""
        return next(iter(self._alarmed), None)

    @property
    def _alarmed(self) -> list[Received]:
        return [one for one in self.received if one.state == "ALARM" and one.alarm in self.names]

    @property
    def missing(self) -> list[str]:
        """What has not happened yet, in words."""
        silent = [f"{name} in ALARM" for name in self.names if name not in self.fired]
        return silent + [f"the message of {name}" for name in self.names if name in self.telling - self.told]

    @property
    def bound_seconds(self) -> float:
        """How long the slowest of the alarms may take."""
        return max((cloudwatch.detection_bound_seconds(alarm) for alarm in self.alarms), default=0.0)


def check_quiet(aws: Aws, drill: Drill, names: Sequence[str], *, settle_seconds: float) -> None:
    """Wait until every alarm is OK: actions run on a change of state only (aws-semantics 10.2.4). One that has no data
    even now is a finding; one that fires already is a refusal.

    Raises:
        Refused: with the alarms.
    """
    try:
        drill.wait_until(
            lambda: {alarm.name: alarm.state for alarm in cloudwatch.alarms(aws, names)},
            lambda states: set(states.values()) <= {"OK"},
            what=f"{', '.join(names)} OK",
            deadline=settle_seconds,
            longest_interval=1.0,
        )
    except WaitTimedOut as error:
        states = {alarm.name: alarm.state for alarm in cloudwatch.alarms(aws, names)}
        if firing := [name for name, state in states.items() if state == "ALARM"]:
            raise Refused(
                f"Nothing was touched: in ALARM before the drill: {', '.join(firing)} (for {settle_seconds:g} s). An "
                "alarm tells only of a change of its state: this outage would be noticed by nobody.\n"
                "To go on: mend what it tells of."
            ) from error
        for name in (name for name, state in states.items() if state != "OK"):
            drill.finding(_without_data(name, settle_seconds))


def _without_data(name: str, waited: float) -> Finding:
    return Finding(
        "alarm.no-data",
        "warning",
        f"alarm {name} has no data to look at, though the service works",
        f"INSUFFICIENT_DATA for {waited:g} s before the outage",
        "Look at its namespace, metric and dimensions.",
    )


def check_alarms(aws: Aws, names: Sequence[str], topic: str) -> list[Finding]:
    """What keeps a service's alarms from seeing an outage, or from telling of it."""
    if not names:
        return [
            Finding(
                "alarm.none",
                "failure",
                "no alarm is named that would see this service's outage",
                "",
                "Name it under `alarms` in the stack file.",
            )
        ]
    found = {alarm.name: alarm for alarm in cloudwatch.alarms(aws, names)}
    findings = [
        Finding(
            "alarm.missing", "failure", f"alarm {name} does not exist", aws.origin(name), "Create it, or name another."
        )
        for name in names
        if name not in found
    ]
    for alarm in found.values():
        findings += [*_mute(aws, alarm, topic), *_blind(alarm)]
    return findings


def check_subscribers(aws: Aws, topic: str, subscribers: Sequence[str]) -> list[Finding]:
    """Who ought to be told by the topic and is not, or never confirmed it."""
    found = {row.endpoint: row for row in sns.subscriptions(aws, topic)}
    findings = []
    for endpoint in subscribers:
        if endpoint not in found:
            findings.append(
                Finding(
                    "subscriber.missing",
                    "failure",
                    f"{endpoint} is not subscribed to {topic}: nobody there would have been told",
                    "",
                    "Subscribe it, or take it out of notifications.subscribers in the stack file.",
                )
            )
        elif found[endpoint].pending:
            findings.append(
                Finding(
                    "subscriber.pending", "failure", f"{endpoint} never confirmed its subscription", "", "Confirm it."
                )
            )
    return findings


def listen(aws: Aws, journal: Journal, topic: str, names: Sequence[str]) -> Watch:
    """Subscribe a queue of the drill's own to the topic: only a received message proves that one was sent."""
    queue = sqs.create_queue(aws, journal, purpose="alarms", topic=topic)
    sns.subscribe_queue(aws, journal, topic, queue=queue.arn)
    alarms = tuple(cloudwatch.alarms(aws, names))
    telling = frozenset(alarm.name for alarm in alarms if not _mute(aws, alarm, topic))
    return Watch(topic, alarms, telling, queue)


def look(aws: Aws, drill: Drill, watch: Watch) -> None:
    """What the alarms did since the last look; waits a second for a message."""
    watch.fired |= {alarm.name for alarm in cloudwatch.alarms(aws, watch.names) if alarm.state == "ALARM"}
    for message in sqs.receive(aws, watch.queue):
        received = _received(message, drill.clock.monotonic())
        if received:
            watch.received.append(received)
            words = f"message: {received.alarm} {received.state}"
            if received.alarm in watch.names:
                drill.mark(words, clock=received.clock)
            else:
                drill.note(words)


def check_noticed(aws: Aws, drill: Drill, watch: Watch, *, since: datetime, waited: float) -> list[Finding]:
    """What ought to have been noticed and was not, with what the alarms' history says; the history goes into the
    evidence, as AWS keeps it for two weeks only."""
    findings = []
    states = {alarm.name: alarm for alarm in cloudwatch.alarms(aws, watch.names)}
    for name in watch.names:
        history = cloudwatch.history(aws, name, since=since - SKEW)
        for item in history:
            drill.fact(f"alarm {name}: {item.type}", item.summary, item.at)
        if not any(item.type == "StateUpdate" and became_alarm(item) for item in history):
            findings.append(_not_fired(name, states.get(name), waited))
        elif name in watch.telling - watch.told:
            findings.append(_not_told(name, watch.topic, history))
    return findings


def became_alarm(item: cloudwatch.HistoryItem) -> bool:
    """Whether a change of an alarm's state was one to ALARM."""
    try:
        return bool(json.loads(item.data)["newState"]["stateValue"] == "ALARM")
    except (ValueError, KeyError, TypeError):
        return item.summary.endswith("to ALARM")


def state_before(item: cloudwatch.HistoryItem) -> str:
    """The state that an alarm's change of state began with; "" where its history does not say."""
    try:
        return str(json.loads(item.data)["oldState"]["stateValue"])
    except (ValueError, KeyError, TypeError):
        return ""


def _not_fired(name: str, alarm: cloudwatch.Alarm | None, waited: float) -> Finding:
    if alarm is not None and alarm.state == "INSUFFICIENT_DATA":
        return Finding(
            "alarm.blind",
            "failure",
            f"{name} does not see a total outage: it went to INSUFFICIENT_DATA",
            f"with no task there is no data, and TreatMissingData is {alarm.treat_missing}",
            "Set TreatMissingData to breaching.",
        )
    state = "does not exist" if alarm is None else f"is {alarm.state}: {alarm.state_reason}"
    return Finding(
        "alarm.not-fired",
        "failure",
        f"{name} did not fire within {waited:.0f} s of the outage",
        f"it {state}",
        "Look at its metric, period and threshold.",
    )


def _not_told(name: str, topic: str, history: list[cloudwatch.HistoryItem]) -> Finding:
    actions = [item.summary for item in history if item.type == "Action"]
    return Finding(
        "alarm.not-told",
        "failure",
        f"{name} fired, but no subscriber of {topic} got a message",
        "; ".join(actions) or "its history shows no action",
        "Look at the topic's policy and its delivery log.",
    )


def _mute(aws: Aws, alarm: cloudwatch.Alarm, topic: str) -> list[Finding]:
    """What keeps an alarm that fires from telling anybody."""
    findings = []
    if not alarm.actions_enabled:
        findings.append(("alarm.actions-disabled", "has its actions disabled", "Enable its actions."))
    if topic not in alarm.alarm_actions:
        findings.append(("alarm.not-wired", f"does not tell {topic}", "Add the topic to its alarm actions."))
    if cloudwatch.active_mutes(aws, alarm.name):
        findings.append(("alarm.muted", "is muted by a mute rule", "Take it out of the rule, or wait for its end."))
    return [
        Finding(id_, "failure", f"alarm {alarm.name} {what}: it would fire and nobody would know", "", remedy)
        for id_, what, remedy in findings
    ]


def _blind(alarm: cloudwatch.Alarm) -> list[Finding]:
    """Whether a total outage, which leaves no data, may pass an alarm by (aws-semantics 4, traps)."""
    if not alarm.period_seconds or alarm.treat_missing == "breaching" or alarm.metric in FED_BY_OUTAGES:
        return []
    return [
        Finding(
            "alarm.blind-spot",
            "warning",
            f"alarm {alarm.name} may not see a total outage: without data it does not count as breaching",
            f"{alarm.namespace} {alarm.metric}, TreatMissingData {alarm.treat_missing}",
            "Set TreatMissingData to breaching.",
        )
    ]


def _received(message: sqs.Message, clock: float) -> Received | None:
    """An alarm's message; None for anything else on the topic."""
    notification = sns.notification(message.body)
    if notification is None:
        return None
    try:
        body = json.loads(notification.message)
        return Received(body["AlarmName"], body["NewStateValue"], body.get("StateChangeTime", ""), clock)
    except (ValueError, KeyError, TypeError):
        return None
