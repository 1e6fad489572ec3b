"""EventBridge: a rule and its targets, events put by the drill itself, an archive and its replays.

A rule that is disabled matches nothing: what came meanwhile is lost for its targets, unless an archive has it
(aws-semantics 8.1). An archive has an event after some minutes only; a replay goes to every rule of the bus unless it
is told which (aws-semantics 8.7).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_envdr.aws import Act
from pytest_envdr.journal import Inverse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Journal

ENDED = ("COMPLETED", "CANCELLED", "FAILED")
"""How a replay ends."""


@dataclass(frozen=True)
class Rule:
    """A rule of a bus. `state` is ENABLED, DISABLED or ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS."""

    name: str
    bus: str
    arn: str
    state: str
    pattern: str

    @property
    def enabled(self) -> bool:
        return self.state != "DISABLED"


@dataclass(frozen=True)
class Target:
    """Where a rule sends events, and to which queue (its ARN) what it could not deliver; "" for none."""

    id: str
    arn: str
    dead_letters: str


@dataclass(frozen=True)
class Archive:
    """An archive; `pattern` is "" where it keeps every event of the bus, `retention_days` 0 where it does for ever."""

    name: str
    arn: str
    source: str
    state: str
    pattern: str
    retention_days: int


@dataclass(frozen=True)
class Replay:
    """A replay; `last` is the time of the last event that was replayed."""

    name: str
    state: str
    reason: str
    last: datetime | None

    @property
    def ended(self) -> bool:
        return self.state in ENDED


def rule(aws: Aws, name: str, bus: str) -> Rule:
    """A rule.

    Raises:
        NotFound: there is no such rule, or no such bus.
    """
    what = f"Rule {name} of bus {bus} cannot be read"
    row = aws.call("events.DescribeRule", what=what, Name=name, EventBusName=bus)
    return Rule(row["Name"], bus, row["Arn"], row["State"], row.get("EventPattern", ""))


def targets(aws: Aws, name: str, bus: str) -> list[Target]:
    """Where a rule sends events."""
    what = f"The targets of rule {name} cannot be read"
    rows = aws.call("events.ListTargetsByRule", what=what, Rule=name, EventBusName=bus)["Targets"]
    return [Target(row["Id"], row["Arn"], row.get("DeadLetterConfig", {}).get("Arn", "")) for row in rows]


def archive(aws: Aws, name: str) -> Archive:
    """An archive.

    Raises:
        NotFound: there is none of that name.
    """
    row = aws.call("events.DescribeArchive", what=f"Archive {name} cannot be read", ArchiveName=name)
    return Archive(
        row["ArchiveName"],
        row["ArchiveArn"],
        row["EventSourceArn"],
        row["State"],
        row.get("EventPattern", ""),
        row.get("RetentionDays", 0),
    )


def replay(aws: Aws, name: str) -> Replay:
    """A replay.

    Raises:
        NotFound: there is none of that name.
    """
    row = aws.call("events.DescribeReplay", what=f"Replay {name} cannot be read", ReplayName=name)
    return Replay(row["ReplayName"], row["State"], row.get("StateReason", ""), row.get("EventLastReplayedTime"))


def disable_rule(aws: Aws, journal: Journal, rule: Rule) -> None:
    """Let a rule match nothing. For a short time events may still match (DisableRule). Undone, it is as it was.

    Raises:
        AwsError: AWS refuses it, such as for a rule that belongs to a service.
    """
    where = {"Name": rule.name, "EventBusName": rule.bus}
    inverse = Inverse("events.EnableRule", where, f"rule {rule.name} of bus {rule.bus} enabled")
    aws.act(journal, Act("events.DisableRule", where, inverse, f"Rule {rule.name} cannot be disabled"))


def put_event(
    aws: Aws, journal: Journal, bus: str, *, source: str, kind: str, detail: Mapping[str, Any], inverse: Inverse
) -> str:
    """Put one event on a bus; its id. What becomes of it is what `inverse` brings back.

    Raises:
        AwsError: AWS did not take it; PutEvents says so in an answer of 200 (aws-semantics 8.9).
    """
    entry = {"EventBusName": bus, "Source": source, "DetailType": kind, "Detail": json.dumps(dict(detail))}
    what = f"No event {kind} can be put on bus {bus}"
    act = Act("events.PutEvents", {"Entries": [entry]}, inverse, what)
    answer = aws.act(journal, act, kept=lambda answer: {"Entries": answer["Entries"]})
    told: dict[str, Any] = answer["Entries"][0]
    if answer["FailedEntryCount"]:
        raise aws.refused(f"{what}: {told.get('ErrorMessage', '')}", code=told.get("ErrorCode", ""))
    return str(told["EventId"])


def start_replay(
    aws: Aws,
    journal: Journal,
    name: str,
    archive: Archive,
    *,
    rules: Sequence[Rule],
    since: datetime,
    until: datetime,
) -> None:
    """Let an archive's events of a time come again, to these rules alone. Undone, it is cancelled while it runs; what
    it replayed is replayed.

    Raises:
        AwsError: AWS refuses it: ten replays at once are what a Region takes.
    """
    arguments = {
        "ReplayName": name,
        "EventSourceArn": archive.arn,
        "EventStartTime": since,
        "EventEndTime": until,
        "Destination": {"Arn": archive.source, "FilterArns": [rule.arn for rule in rules]},
    }
    told = arguments | {"EventStartTime": since.isoformat(), "EventEndTime": until.isoformat()}
    inverse = Inverse("events.CancelReplay", {"ReplayName": name}, f"no replay {name} under way")
    with journal.intending("events.StartReplay", told, inverse=inverse):
        aws.call("events.StartReplay", what=f"Archive {archive.name} cannot be replayed", **arguments)
