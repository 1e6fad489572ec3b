"""Terraform's states chosen among, compared, and held against AWS."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pytest_envdr.terraform import State, state_of
from pytest_envdr.verify import state as verify
from pytest_envdr.verify.state import Candidate, Difference, Lock
from pytest_envdr.verify.state.choosing import CHOSEN, newer

LINEAGE, OTHER = "11111111-aaaa", "22222222-bbbb"
QUEUE = "arn:aws:sqs:eu-west-1:123456789012:jobs"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:alarms"
GROUP = "arn:aws:logs:eu-west-1:123456789012:log-group:/ecs/api"
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


def resource(name: str, arn: str = "", **more: Any) -> dict[str, Any]:
    """A resource as a state has it."""
    attributes = {"id": name, "arn": arn or None, "password": "hunter2"}
    return {"mode": "managed", "type": "aws_thing", "name": name, "instances": [{"attributes": attributes}], **more}


def state(
    *resources: dict[str, Any], serial: int = 5, lineage: str = LINEAGE, terraform: str = "1.11.4", **more: Any
) -> State:
    """A state."""
    told = {"version": 4, "terraform_version": terraform, "serial": serial, "lineage": lineage, "outputs": {}}
    return state_of(json.dumps({**told, "resources": list(resources) or [resource("a")], **more}).encode())


def candidates(*held: State | str) -> list[Candidate]:
    """Versions, the newest first: states, or why there is none."""
    times = (NOON - timedelta(minutes=number) for number in range(len(held)))
    return [
        Candidate(f"v{number}", at, *((None, one) if isinstance(one, str) else (one,)))
        for number, (at, one) in enumerate(zip(times, held, strict=True))
    ]


def verdicts(found: list[Candidate], **how: Any) -> list[str]:
    """What is thought of each version."""
    return [verdict for _, verdict in verify.judge(found, lineage=LINEAGE, **how).verdicts]


def test_the_highest_serial_of_the_lineage_is_chosen() -> None:
    """Neither the newest version nor the highest serial of all: each other one has a reason."""
    empty = state_of(json.dumps({**json.loads(b"{}"), **_bare(9), "resources": []}).encode())
    found = candidates(
        "it is a delete marker",
        state(serial=105, lineage=OTHER),
        state(serial=4),
        empty,
        state(serial=5),
        state(serial=5),
        state(serial=3),
    )
    judged = verify.judge(found, lineage=LINEAGE)
    assert judged.chosen is found[4]
    assert verdicts(found) == [
        "it is a delete marker",
        f"it is of another lineage, {OTHER}",
        "its serial is 4",
        "it has no resources",
        CHOSEN,
        "it has the same serial, 5, and is older",
        "its serial is 3",
    ]


def _bare(serial: int) -> dict[str, Any]:
    return {"version": 4, "terraform_version": "1.11.4", "serial": serial, "lineage": LINEAGE, "outputs": {}}


def test_a_state_of_a_newer_terraform_is_not_restored() -> None:
    """This Terraform could not read it; without one to compare with, any will do."""
    found = candidates(state(serial=6, terraform="1.12.0"), state(serial=5))
    assert verdicts(found, terraform="1.11.4") == ["Terraform 1.12.0 wrote it, and this one is 1.11.4", CHOSEN]
    assert verdicts(found)[0] == CHOSEN


def test_nothing_to_restore() -> None:
    """Where no version will do, none is chosen."""
    assert verify.judge(candidates("it is a delete marker"), lineage=LINEAGE).chosen is None
    assert verify.judge([], lineage=LINEAGE).chosen is None


@pytest.mark.parametrize(
    ("version", "than", "expected"),
    [
        ("1.12.0", "1.11.4", True),
        ("1.11.4", "1.11.4", False),
        ("1.9.8", "1.11.4", False),
        ("1.11.4", "", False),
        ("1.12.0-beta1", "1.11.4", True),
    ],
)
def test_versions_are_compared_as_numbers(version: str, than: str, *, expected: bool) -> None:
    """1.9 is older than 1.11."""
    assert newer(version, than) is expected


def test_what_a_push_would_need_force_for() -> None:
    """Another lineage or a higher serial there; an empty place takes anything."""
    mine = state(serial=5)
    assert verify.push_refusal(None, mine) == ""
    assert verify.push_refusal(state(serial=4), mine) == ""
    assert "higher serial, 6" in verify.push_refusal(state(serial=6), mine)
    assert "another lineage" in verify.push_refusal(state(serial=1, lineage=OTHER), mine)


def test_equal_states_have_no_difference() -> None:
    """Nor has one with a higher serial and the same resources: somebody applied since."""
    assert verify.compare(state(), state()) == []
    assert verify.compare(state(serial=5), state(serial=7)) == []


def test_each_difference_is_named() -> None:
    """Lineage, serial, content under the same serial, and addresses either way."""
    before = state(resource("a"), resource("b"))
    kinds = {
        "lineage": state(resource("a"), resource("b"), lineage=OTHER),
        "serial": state(resource("a"), resource("b"), serial=4),
        "content": state(resource("a"), resource("b"), check_results=[]),
        "missing": state(resource("a"), serial=6),
        "extra": state(resource("a"), resource("b"), resource("c"), serial=6),
    }
    for kind, now in kinds.items():
        assert [difference.kind for difference in verify.compare(before, now)] == [kind]
    assert str(verify.compare(before, kinds["missing"])[0]) == (
        "aws_thing.b is not in the state: Terraform would create it once more."
    )


def test_a_state_against_aws() -> None:
    """Gone is what AWS says it has not; an orphan is what is tagged and still there, and in no state."""
    held = state(resource("queue", QUEUE), resource("topic", TOPIC), resource("rule"), resource("logs", f"{GROUP}:*"))
    gone = {TOPIC, "arn:previously-tagged"}
    tagged = [QUEUE, GROUP, "arn:stray", "arn:previously-tagged", "arn:nobody-can-tell"]
    found = verify.held_against(
        held, tagged, there=lambda arn: None if arn == "arn:nobody-can-tell" else arn not in gone
    )
    assert found == [
        Difference("aws_thing.topic", "gone", actual=TOPIC),
        Difference("arn:nobody-can-tell", "orphan"),
        Difference("arn:stray", "orphan"),
    ]


def test_a_type_whose_id_is_its_arn() -> None:
    """An ECS service has no other attribute with its ARN: it is in the state all the same."""
    service = "arn:aws:ecs:eu-west-1:123456789012:service/prod/api"
    assert verify.held_against(state(resource(service)), [service], there=lambda _: True) == []
    assert [one.kind for one in verify.held_against(state(resource(service)), [], there=lambda _: False)] == ["gone"]


@pytest.mark.parametrize(
    ("arn", "to", "identity"),
    [
        (QUEUE, "aws_sqs_queue.jobs", "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs"),
        (TOPIC, "aws_sns_topic.alarms", TOPIC),
        (GROUP, "aws_cloudwatch_log_group.api", "/ecs/api"),
        ("arn:aws:s3:::envelope-prod-x", "aws_s3_bucket.envelope_prod_x", "envelope-prod-x"),
        ("arn:aws:ecs:eu-west-1:1:service/prod/api", "aws_ecs_service.api", "prod/api"),
        ("arn:aws:rds:eu-west-1:1:db:prod-db", "aws_db_instance.prod_db", "prod-db"),
        ("arn:aws:events:eu-west-1:1:rule/bus/created", "aws_cloudwatch_event_rule.created", "bus/created"),
        ("arn:aws:ec2:eu-west-1:1:vpc/vpc-0123", "aws_vpc.vpc_0123", "vpc-0123"),
        (
            "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/2nd/0123456789abcdef",
            "aws_lb_target_group._2nd",
            "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/2nd/0123456789abcdef",
        ),
    ],
)
def test_an_import_block(arn: str, to: str, identity: str) -> None:
    """Each type has an import id of its own form, and a name that Terraform takes."""
    assert verify.import_block(arn) == f'# {arn}\nimport {{\n  to = {to}\n  id = "{identity}"\n}}\n'


def test_what_no_import_is_known_for_says_so() -> None:
    """A comment, and no wrong block."""
    assert verify.import_block("arn:aws:braket:eu-west-1:1:job/x").startswith("# arn:aws:braket")


def test_a_lock_as_terraform_writes_it() -> None:
    """Read back as it was written; one that cannot be read is a lock all the same."""
    lock = Lock("id", "OperationTypeApply", "ada@ci", "2026-11-29T12:00:00Z", "bucket/key", "1.11.4")
    assert Lock.parse(lock.text()) == lock
    assert Lock.parse("no JSON") == Lock("")
    assert "lock id of ada@ci" in str(lock)


def test_nothing_secret_is_told() -> None:
    """No attribute's value is in what a state, a difference or a verdict prints."""
    before, now = state(resource("a"), resource("b")), state(resource("a"), serial=4)
    told = [repr(before), *map(str, verify.compare(before, now)), verify.described(before)]
    assert not [text for text in told if "hunter2" in text]
