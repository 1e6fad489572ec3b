"""EventBridge: rules, targets, archives and replays as typed values; what the drill does to them is undone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from pytest_envdr import undo
from pytest_envdr.aws import Aws, events
from pytest_envdr.errors import AwsError, NotFound
from pytest_envdr.journal import Header, Inverse, Journal
from pytest_envdr.sandbox.control_plane import awslambda, cloudwatch, logs, sqs
from pytest_envdr.sandbox.control_plane import events as sandboxed
from pytest_envdr.waiting import wait_until
from tests import account
from tests.sandbox.control_plane.events_rig import PATTERN, Bus
from tests.sandbox.control_plane.lambda_rig import Rig
from tests.sandbox.control_plane.served import ACCOUNT, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REGION = "eu-south-2"
"""That of the rig's ARNs."""
HEALED = Inverse.healed("nothing: a test's own event")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """EventBridge in a sandbox."""
    services = {"lambda": awslambda, "events": sandboxed, "sqs": sqs, "logs": logs, "cloudwatch": cloudwatch}
    directory = tmp_path_factory.mktemp("events")
    with serving(directory, services, region=REGION, network="127.41.0.0/16", speed=300) as served:
        yield Rig(served)


@pytest.fixture
def bus(rig: Rig) -> Bus:
    """A bus with one rule."""
    return Bus.made(rig)


@pytest.fixture
def journal(rig: Rig, tmp_path: Path) -> Iterator[Journal]:
    """An open journal."""
    with Journal.open(tmp_path / "journal", Header("ex-7", ACCOUNT, REGION, rig.served.world.endpoint)) as journal:
        yield journal


@pytest.fixture
def aws(rig: Rig, journal: Journal) -> Aws:
    """The account."""
    return Aws(account.stack(endpoint=rig.served.world.endpoint, region=REGION), journal)


@pytest.fixture
def archive(bus: Bus, aws: Aws) -> events.Archive:
    """An archive of the bus that keeps all of it for a week."""
    name = account.unique("archive")
    bus.events.create_archive(ArchiveName=name, EventSourceArn=bus.arn, RetentionDays=7)
    return events.archive(aws, name)


def placed(aws: Aws, journal: Journal, bus: Bus, total: int) -> str:
    """An order on the bus; the event's id."""
    return events.put_event(
        aws, journal, bus.name, source="shop", kind="order.placed", detail={"total": total}, inverse=HEALED
    )


def test_a_rule_and_its_targets_are_typed_values(bus: Bus, aws: Aws) -> None:
    """State, pattern, and where its events go, with and without a queue for what cannot be delivered."""
    seen = events.rule(aws, "rule", bus.name)
    assert (seen.name, seen.bus, seen.arn, seen.state) == ("rule", bus.name, bus.rule_arn, "ENABLED")
    assert (seen.enabled, json.loads(seen.pattern)) == (True, PATTERN)
    assert events.targets(aws, "rule", bus.name) == []
    (_, first), (_, second) = bus.rig.queue(), bus.rig.queue()
    bus.target(first)
    assert events.targets(aws, "rule", bus.name) == [events.Target("target", first, "")]
    bus.target(first, DeadLetterConfig={"Arn": second})
    assert events.targets(aws, "rule", bus.name) == [events.Target("target", first, second)]


def test_what_is_not_there_is_told(bus: Bus, aws: Aws) -> None:
    """A rule, a bus, an archive and a replay that nobody made are each named."""
    with pytest.raises(NotFound, match=f"Rule nobody of bus {bus.name} cannot be read"):
        events.rule(aws, "nobody", bus.name)
    with pytest.raises(NotFound, match="Rule rule of bus no-bus cannot be read"):
        events.rule(aws, "rule", "no-bus")
    with pytest.raises(NotFound, match="Archive nobody cannot be read"):
        events.archive(aws, "nobody")
    with pytest.raises(NotFound, match="Replay nobody cannot be read"):
        events.replay(aws, "nobody")


def test_a_disabled_rule_matches_nothing_until_it_is_undone(bus: Bus, aws: Aws, journal: Journal) -> None:
    """What was put meanwhile never comes, what was put after does."""
    url = bus.queue()
    events.disable_rule(aws, journal, events.rule(aws, "rule", bus.name))
    bus.switch(on=False)
    assert not events.rule(aws, "rule", bus.name).enabled
    lost = placed(aws, journal, bus, 20)
    assert [done.how for done in undo.replay(aws, journal)] == ["brought back"]
    assert events.rule(aws, "rule", bus.name).enabled
    assert journal.owed() == []
    bus.switch(on=True)
    kept = placed(aws, journal, bus, 30)
    assert kept != lost
    assert json.loads(bus.rig.message(url)["Body"])["id"] == kept
    assert bus.rig.messages(url) == []


def test_an_event_arrives_as_it_was_put(bus: Bus, aws: Aws, journal: Journal) -> None:
    """With the id that was told, from the drill's source; the journal keeps what AWS answered."""
    url = bus.queue()
    told = placed(aws, journal, bus, 20)
    event = json.loads(bus.rig.message(url)["Body"])
    assert (event["id"], event["source"], event["detail-type"]) == (told, "shop", "order.placed")
    assert event["detail"] == {"total": 20}
    assert journal.owed() == []


def test_an_event_that_was_not_taken_is_an_error(bus: Bus, aws: Aws, journal: Journal) -> None:
    """PutEvents answers 200 to what it refuses: an event without a detail-type, for instance."""
    with pytest.raises(AwsError, match=f"can be put on bus {bus.name}: .*DetailType"):
        events.put_event(aws, journal, bus.name, source="shop", kind="", detail={}, inverse=HEALED)


def test_an_archive_is_a_typed_value(bus: Bus, aws: Aws, archive: events.Archive) -> None:
    """Of which bus it is, what it keeps, and how long; for ever is 0."""
    assert (archive.source, archive.state, archive.retention_days) == (bus.arn, "ENABLED", 7)
    name = account.unique("archive")
    bus.events.create_archive(ArchiveName=name, EventSourceArn=bus.arn, EventPattern='{"source": ["shop"]}')
    other = events.archive(aws, name)
    assert (json.loads(other.pattern)["source"], other.retention_days) == (["shop"], 0)


def test_a_replay_goes_to_the_rules_that_were_named(
    bus: Bus, aws: Aws, journal: Journal, archive: events.Archive
) -> None:
    """What came while the rule was disabled comes again to it alone, and the replay says how far it is."""
    url, rule, since = bus.queue(), events.rule(aws, "rule", bus.name), datetime.now(UTC) - timedelta(minutes=1)
    bus.switch(on=False)
    placed(aws, journal, bus, 20)
    wait_until(
        lambda: bus.events.describe_archive(ArchiveName=archive.name)["EventCount"], bool, what="kept", deadline=60
    )
    bus.switch(on=True)
    bus.events.put_rule(Name="other", EventBusName=bus.name, EventPattern=json.dumps(PATTERN))
    other, arn = bus.rig.queue({"Version": "2012-10-17", "Statement": []})
    bus.events.put_targets(Rule="other", EventBusName=bus.name, Targets=[{"Id": "target", "Arn": arn}])
    name, until = account.unique("replay"), datetime.now(UTC) + timedelta(minutes=1)
    events.start_replay(aws, journal, name, archive, rules=[rule], since=since, until=until)
    ended = wait_until(lambda: events.replay(aws, name), lambda seen: seen.ended, what="the replay", deadline=60)
    assert (ended.state, ended.last is not None) == ("COMPLETED", True)
    event = json.loads(bus.rig.message(url)["Body"])
    assert (event["detail"], event["replay-name"]) == ({"total": 20}, name)
    assert bus.rig.messages(other) == []


def test_a_replay_under_way_is_cancelled_when_it_is_undone(
    bus: Bus, aws: Aws, journal: Journal, archive: events.Archive
) -> None:
    """Killed in the middle of a replay, the undo cancels it; one that has ended is only looked at."""
    rule, now = events.rule(aws, "rule", bus.name), datetime.now(UTC)
    hour = {"since": now - timedelta(hours=1), "until": now}
    with bus.rig.at_speed(1):
        name = account.unique("replay")
        events.start_replay(aws, journal, name, archive, rules=[rule], **hour)
        assert not events.replay(aws, name).ended
        assert [done.how for done in undo.replay(aws, journal)] == ["brought back"]
    assert events.replay(aws, name).state in ("CANCELLING", "CANCELLED")
    again = account.unique("replay")
    events.start_replay(aws, journal, again, archive, rules=[rule], **hour)
    wait_until(lambda: events.replay(aws, again), lambda seen: seen.ended, what="the replay", deadline=60)
    assert [done.how for done in undo.replay(aws, journal)] == ["it is COMPLETED"]
    assert journal.owed() == []


def test_a_replay_that_aws_refuses_leaves_nothing_owed_for_good(
    bus: Bus, aws: Aws, journal: Journal, archive: events.Archive
) -> None:
    """A window that ends before it begins is refused; the undo finds nothing to cancel."""
    rule, now = events.rule(aws, "rule", bus.name), datetime.now(UTC)
    with pytest.raises(AwsError, match=f"Archive {archive.name} cannot be replayed"):
        events.start_replay(
            aws, journal, account.unique("replay"), archive, rules=[rule], since=now, until=now - timedelta(hours=1)
        )
    undo.replay(aws, journal)
    assert journal.owed() == []
