"""A provisioner's drill as a library runs it, held for tests to break; and others' hands on what makes buckets."""

from __future__ import annotations

import io
import json
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pytest_envdr import founding, mariadb
from pytest_envdr.aws import Aws, rds
from pytest_envdr.drills import provisioner, restores
from pytest_envdr.exercise import Charge
from pytest_envdr.sandbox.envelope import provisioner as seeded
from pytest_envdr.waiting import wait_until
from tests.drills.stranger import PATIENCE, Stranger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.provisioner import DisabledProvisioner, Disabling
    from pytest_envdr.exercise import Exercise

OTHER = "210987654321"
"""An account that is not the stack's."""
EFFECT_SECONDS = 3.0
"""How long a change may take to be in effect; in the sandbox it is at once."""


class Hand:
    """Somebody else's hand on a stack's provisioner, its queues and its tenants."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self.row = founding.row(aws.stack)
        self.stranger = Stranger(aws.stack.path)

    def client(self, service: str) -> Any:
        """The boto3 client of a service, without guard and journal."""
        return self.stranger.client(service)

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """A statement on the central database, and its rows."""
        row = self._aws.stack.database
        assert row is not None
        server = restores.source_server(self._aws, rds.instance(self._aws, row.instance))
        with mariadb.session(server, database=row.central) as cursor:
            cursor.execute(statement, values)
            return [tuple(found) for found in cursor.fetchall()]

    def function(self) -> dict[str, Any]:
        """The function's configuration, but for what changes with each update of it."""
        found = self.client("lambda").get_function_configuration(FunctionName=self.row.function)
        left_out = ("ResponseMetadata", "LastModified", "RevisionId", "LastUpdateStatus")
        return {key: value for key, value in found.items() if key not in left_out}

    def settings(self) -> dict[str, Any]:
        """All that a drill may change of it, and what it must leave alone."""
        function, events, name = self.client("lambda"), self.client("events"), self.row.function
        rule = events.describe_rule(Name=self.row.rule, EventBusName=self.row.bus)
        policy = json.loads(function.get_policy(FunctionName=name)["Policy"])
        return {
            "function": self.function(),
            "reserved": function.get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions"),
            "policy": sorted(policy["Statement"], key=lambda one: str(one["Sid"])),
            "rule": {key: rule[key] for key in ("State", "EventPattern")},
            "targets": events.list_targets_by_rule(Rule=self.row.rule, EventBusName=self.row.bus)["Targets"],
        }

    def left(self) -> dict[str, Any]:
        """All that a drill of the provisioner may leave behind."""
        return {
            **self.settings(),
            "buckets": sorted(row["Name"] for row in self.client("s3").list_buckets()["Buckets"]),
            "tenants": self.sql("SELECT slug FROM tenants ORDER BY slug"),
            "databases": self.sql("SHOW DATABASES"),
            "letters": {name: self.letters(name) for name in (self.row.dead_letters, self.row.undelivered)},
        }

    def letters(self, queue: str) -> int:
        """How many messages a queue has, in sight and out of it."""
        client, names = self.client("sqs"), ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        url = client.get_queue_url(QueueName=queue)["QueueUrl"]
        return sum(map(int, client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()))

    def update(self, **configuration: Any) -> None:
        """UpdateFunctionConfiguration, to its end."""
        self.client("lambda").update_function_configuration(FunctionName=self.row.function, **configuration)
        self._wait_until_updated()

    @contextmanager
    def without_dead_letters(self) -> Iterator[None]:
        """The function without a queue for what it fails of."""
        before = self.function()["DeadLetterConfig"]
        self.update(DeadLetterConfig={"TargetArn": ""})
        try:
            yield
        finally:
            self.update(DeadLetterConfig=before)

    @contextmanager
    def making_a_second(self) -> Iterator[None]:
        """A function that makes a bucket of another name where there is one already."""
        self._upload(
            repacked("    made = ", f"    bucket += '-second' * _is_ours(s3, bucket, account)\n{' ' * 4}made = ")
        )
        try:
            yield
        finally:
            self._upload(seeded.package())

    @contextmanager
    def let_in_twice(self) -> Iterator[None]:
        """Another statement that lets the rule invoke the function."""
        function, name, sid = self.client("lambda"), self.row.function, "as-well"
        who = {"Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com"}
        function.add_permission(FunctionName=name, StatementId=sid, **who)
        try:
            yield
        finally:
            function.remove_permission(FunctionName=name, StatementId=sid)

    @contextmanager
    def reserved(self, number: int) -> Iterator[None]:
        """The function with reserved concurrency; it has none of its own."""
        function, name = self.client("lambda"), self.row.function
        function.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=number)
        try:
            yield
        finally:
            function.delete_function_concurrency(FunctionName=name)

    @contextmanager
    def rule_disabled(self) -> Iterator[None]:
        """The rule, matching nothing."""
        events, where = self.client("events"), {"Name": self.row.rule, "EventBusName": self.row.bus}
        events.disable_rule(**where)
        try:
            yield
        finally:
            events.enable_rule(**where)

    @contextmanager
    def mute(self, alarm: str) -> Iterator[None]:
        """An alarm with its actions disabled."""
        client = self.client("cloudwatch")
        client.disable_alarm_actions(AlarmNames=[alarm])
        try:
            yield
        finally:
            client.enable_alarm_actions(AlarmNames=[alarm])

    @contextmanager
    def taken(self, bucket: str) -> Iterator[None]:
        """A bucket's name, another account's."""
        where = {"LocationConstraint": self.stranger.stack["region"]}
        self._another().create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
        try:
            yield
        finally:
            self.give_back_names()

    def give_back_names(self) -> None:
        """No bucket's name is the other account's any more."""
        client = self._another()
        for row in client.list_buckets()["Buckets"]:
            client.delete_bucket(Bucket=row["Name"])

    def _another(self) -> Any:
        """The client of S3 of an account that is not the stack's."""
        client = Stranger(self.stranger.stack_file).client("s3")
        client.meta.events.register(
            "before-sign.s3.*", lambda request, **_: request.headers.add_header("x-moto-account-id", OTHER)
        )
        return client

    def _upload(self, package: bytes) -> None:
        self.client("lambda").update_function_code(FunctionName=self.row.function, ZipFile=package)
        self._wait_until_updated()

    def _wait_until_updated(self) -> None:
        client = self.client("lambda")
        wait_until(
            lambda: client.get_function_configuration(FunctionName=self.row.function)["LastUpdateStatus"],
            lambda status: bool(status == "Successful"),
            what=f"the update of {self.row.function}",
            deadline=PATIENCE,
        )


def repacked(old: str, new: str) -> bytes:
    """The function's package with one piece of its code replaced."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(seeded.package())) as before, zipfile.ZipFile(packed, "w") as after:
        for entry in before.infolist():
            text = before.read(entry).decode()
            if entry.filename == f"{seeded.MODULE}.py":
                assert text.count(old) == 1
                text = text.replace(old, new)
            after.writestr(entry, text)
    return packed.getvalue()


@dataclass
class Rehearsal:
    """A drill, held where a tenant was founded that has no bucket; and what its steps came to."""

    drill: Drill
    disabled: DisabledProvisioner
    hand: Hand
    seen: dict[str, Any] = field(default_factory=dict)

    @property
    def bucket(self) -> str:
        """The one that was made by hand."""
        made = self.disabled.case.manual
        assert made is not None
        return made.bucket

    @property
    def failures(self) -> list[str]:
        """The ids of the findings that fail it."""
        return [finding.id for finding in self.drill.failures]

    @property
    def findings(self) -> dict[str, str]:
        """Every finding by its id, in words."""
        return {finding.id: f"{finding.title} ({finding.detail})" for finding in self.drill.findings}

    def checked(self) -> list[str]:
        """The ids of what fails it when the bucket is looked at now."""
        self.drill.findings.clear()
        self.disabled.check()
        return self.failures

    def whole(self, *, broken: Callable[[Rehearsal], None] = lambda _: None) -> None:
        """The steps in their order; `broken` comes behind the recovery."""
        self.disabled.wait_until_seen()
        self.disabled.recover()
        broken(self)
        self.seen["differences"] = self.disabled.check()
        self.disabled.put_back()
        self.seen["changed"] = self.disabled.check_late()
        self.seen["reconciled"] = self.disabled.reconcile()


def drill_of(exercise: Exercise, how: Disabling) -> Drill:
    """A drill of its own in a run."""
    return exercise.drill(Charge(f"rehearsal of {how} {uuid4().hex[:4]}", "lambda_provisioner_failure"))


@contextmanager
def disabling(
    exercise: Exercise, how: Disabling = "concurrency 0", *, drill: Drill | None = None
) -> Iterator[Rehearsal]:
    """The drill, as far as the tenant that has no bucket; on leaving, all is put back."""
    drill = drill or drill_of(exercise, how)
    with provisioner.disabled(
        exercise.aws, exercise.journal, drill, how=how, settle_seconds=PATIENCE, effect_seconds=EFFECT_SECONDS
    ) as disabled:
        yield Rehearsal(drill, disabled, Hand(exercise.aws))
    assert exercise.journal.owed() == []
