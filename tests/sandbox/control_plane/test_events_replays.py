"""EventBridge's archives and replays through a plain client."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import awslambda, cloudwatch, events, logs, sqs
from tests.sandbox.control_plane.events_rig import ARN, PATTERN, Bus, ran
from tests.sandbox.control_plane.lambda_rig import Rig, allow_events
from tests.sandbox.control_plane.served import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

SPEED = 300


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    services = {"lambda": awslambda, "events": events, "sqs": sqs, "logs": logs, "cloudwatch": cloudwatch}
    with serving(
        tmp_path_factory.mktemp("events"), services, region="eu-south-2", network="127.254.0.0/16", speed=SPEED
    ) as served:
        yield Rig(served)


@pytest.fixture
def bus(rig: Rig) -> Bus:
    return Bus.made(rig)


def archived(bus: Bus) -> str:
    """The name of an archive of the bus."""
    name = f"archive-{uuid4().hex[:8]}"
    bus.events.create_archive(ArchiveName=name, EventSourceArn=bus.arn, EventPattern='{"source": ["shop"]}')
    return name


def kept(bus: Bus, archive: str) -> int:
    return int(bus.events.describe_archive(ArchiveName=archive)["EventCount"])


def replay(bus: Bus, archive: str, **destination: Any) -> str:
    """The name of a replay of the last hour that has ended."""
    name, now = f"replay-{uuid4().hex[:8]}", time.time()
    started = bus.events.start_replay(
        ReplayName=name,
        EventSourceArn=f"{ARN}:archive/{archive}",
        EventStartTime=now - 3600,
        EventEndTime=now + 60,
        Destination={"Arn": bus.arn, **destination},
    )
    assert started["State"] == "STARTING"
    bus.rig.awaited(lambda: bus.events.describe_replay(ReplayName=name)["State"] == "COMPLETED", "the replay's end")
    return name


def test_a_replay_brings_lost_events_back(rig: Rig, bus: Bus) -> None:
    """What a disabled rule lost is in the archive ten minutes later; replayed, it has the replay's name, and the id
    that it had; it is not archived again."""
    name, _ = bus.function()
    bus.put(total=99)
    archive = archived(bus)
    bus.switch(on=False)
    event_id = bus.put()
    bus.switch(on=True)
    rig.awaited(lambda: kept(bus, archive) == 1, "the archive")
    before = len(rig.awaited(lambda: ran(rig, name), "the event before the archive"))
    replayed = replay(bus, archive)
    rig.awaited(lambda: len(ran(rig, name)) > before, "the function")
    assert ran(rig, name)[before:] == [f"{event_id} {replayed}"]
    time.sleep(600 / SPEED + 1)
    assert kept(bus, archive) == 1


def test_a_replay_too_early_finds_nothing(rig: Rig, bus: Bus) -> None:
    """An event is not in the archive at once; who does not wait replays nothing, and is not told."""
    url = bus.queue()
    archive = archived(bus)
    with rig.at_speed(10):
        bus.put()
    rig.message(url)
    assert kept(bus, archive) == 0
    replay(bus, archive)
    assert rig.messages(url) == []


def test_a_replay_can_be_for_one_rule_only(rig: Rig, bus: Bus) -> None:
    """FilterArns; without it every rule of the bus is met again."""
    url = bus.queue()
    bus.events.put_rule(Name="other", EventBusName=bus.name, EventPattern=json.dumps(PATTERN))
    other, arn = rig.queue()
    rig.client("sqs").set_queue_attributes(QueueUrl=other, Attributes={"Policy": json.dumps(allow_events(arn))})
    bus.events.put_targets(Rule="other", EventBusName=bus.name, Targets=[{"Id": "other", "Arn": arn}])
    archive = archived(bus)
    bus.put()
    rig.message(url), rig.message(other)
    rig.awaited(lambda: kept(bus, archive) == 1, "the archive")
    replay(bus, archive, FilterArns=[bus.rule_arn])
    assert "replay-name" in json.loads(rig.message(url)["Body"])
    assert rig.messages(other) == []


def test_a_replay_goes_to_its_own_bus_and_has_a_name_of_its_own(rig: Rig, bus: Bus) -> None:
    """Another bus, an end before the start and a name that is taken are refused; a replay that ended cannot be
    cancelled."""
    archive = archived(bus)
    name = replay(bus, archive)
    wanted = {
        "ReplayName": uuid4().hex,
        "EventSourceArn": f"{ARN}:archive/{archive}",
        "EventStartTime": 100,
        "EventEndTime": 200,
        "Destination": {"Arn": bus.arn},
    }
    for wrong, code in (
        ({"Destination": {"Arn": Bus.made(rig).arn}}, "ValidationException"),
        ({"EventEndTime": 50}, "ValidationException"),
        ({"ReplayName": name}, "ResourceAlreadyExistsException"),
    ):
        with pytest.raises(ClientError) as refused:
            bus.events.start_replay(**{**wanted, **wrong})
        assert refused.value.response["Error"]["Code"] == code
    with pytest.raises(ClientError) as late:
        bus.events.cancel_replay(ReplayName=name)
    assert late.value.response["Error"]["Code"] == "IllegalStatusException"
