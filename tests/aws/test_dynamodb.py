"""The lock table as Terraform's S3 backend uses it: digests and locks put there are taken away again, and only they."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr import undo
from pytest_envdr.aws import Aws, dynamodb
from pytest_envdr.errors import AwsError, NotFound, UndoFailed
from pytest_envdr.journal import Header, Journal
from tests import account

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLD, NEW, THEIRS = "0" * 32, "1" * 32, "2" * 32


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An open journal of the account."""
    header = Header("ex", account.ACCOUNT, account.REGION, account.endpoint())
    with Journal.open(tmp_path / "journals" / "target.jsonl", header) as journal:
        yield journal


@pytest.fixture
def aws(journal: Journal) -> Aws:
    """The account, under the journal's guard."""
    return Aws(account.stack(), journal)


@pytest.fixture(scope="module")
def table() -> str:
    """A lock table."""
    name = account.unique("locks")
    account.plain("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


def put(table: str, key: str, **values: str) -> None:
    """Somebody else's item."""
    item: dict[str, Any] = {"LockID": {"S": key}, **{name: {"S": value} for name, value in values.items()}}
    account.plain("dynamodb").put_item(TableName=table, Item=item)


def test_a_digest_is_put_back(aws: Aws, journal: Journal, table: str) -> None:
    """What it was before, or nothing; twice is once."""
    had, had_not = f"b/{account.unique('k')}", f"b/{account.unique('k')}"
    put(table, f"{had}-md5", Digest=OLD)
    for path in (had, had_not):
        dynamodb.set_digest(aws, journal, table, path, NEW)
        assert dynamodb.digest(aws, table, path) == NEW
    undo.replay(aws, journal)
    assert journal.owed() == []
    assert (dynamodb.digest(aws, table, had), dynamodb.digest(aws, table, had_not)) == (OLD, "")


def test_a_digest_written_since_is_left(aws: Aws, journal: Journal, table: str) -> None:
    """Somebody applied meanwhile: the digest is theirs."""
    had, had_not = f"b/{account.unique('k')}", f"b/{account.unique('k')}"
    put(table, f"{had}-md5", Digest=OLD)
    for path in (had, had_not):
        dynamodb.set_digest(aws, journal, table, path, NEW)
        put(table, f"{path}-md5", Digest=THEIRS)
    undone = undo.replay(aws, journal)
    assert any("a state was written since" in one.how for one in undone)
    assert {dynamodb.digest(aws, table, path) for path in (had, had_not)} == {THEIRS}


def test_a_lock_is_taken_where_nobody_has_it(aws: Aws, journal: Journal, table: str) -> None:
    """Nobody's is taken, somebody's is not; undone, the drill's own is released."""
    free, held = f"b/{account.unique('k')}", f"b/{account.unique('k')}"
    put(table, held, Info='{"ID": "theirs"}')
    assert dynamodb.lock(aws, table, free) is None
    dynamodb.take_lock(aws, journal, table, free, '{"ID": "ours"}', id="ours")
    with pytest.raises(AwsError) as refused:
        dynamodb.take_lock(aws, journal, table, held, '{"ID": "ours-too"}', id="ours-too")
    assert refused.value.code == "ConditionalCheckFailedException"
    undo.replay(aws, journal)
    assert journal.owed() == []
    assert dynamodb.lock(aws, table, free) is None
    assert dynamodb.lock(aws, table, held) == '{"ID": "theirs"}'


def test_another_lock_is_not_released(aws: Aws, journal: Journal, table: str) -> None:
    """The drill's was released and somebody took theirs: that one stays."""
    path = f"b/{account.unique('k')}"
    dynamodb.take_lock(aws, journal, table, path, '{"ID": "ours"}', id="ours")
    put(table, path, Info='{"ID": "theirs"}')
    undo.replay(aws, journal)
    assert dynamodb.lock(aws, table, path) == '{"ID": "theirs"}'


@pytest.mark.parametrize("md5", [NEW, ""])
def test_all_of_a_state_of_the_drill_s_own_goes(aws: Aws, journal: Journal, table: str, md5: str) -> None:
    """Digest and lock, whoever put them there."""
    path = f"b/envdr/{account.unique('k')}"
    dynamodb.own_digest(aws, journal, table, path, md5)
    assert dynamodb.digest(aws, table, path) == md5
    put(table, path, Info='{"ID": "a killed one\'s", "Created": "2026-01-01T00:00:00.123456789Z"}')
    undo.replay(aws, journal)
    assert (dynamodb.digest(aws, table, path), dynamodb.lock(aws, table, path)) == ("", None)


def test_a_state_that_is_not_the_drill_s_own_is_refused(aws: Aws, journal: Journal, table: str) -> None:
    """By its key nobody would know whose it is."""
    with pytest.raises(UndoFailed, match="no drill's own"):
        dynamodb.own_digest(aws, journal, table, "b/prod/terraform.tfstate", NEW)
    assert journal.entries == []


def test_a_young_lock_is_known(aws: Aws, table: str) -> None:
    """Terraform's own times have nanoseconds."""
    path, now = f"b/{account.unique('k')}", datetime.now(UTC)
    put(table, path, Info=json.dumps({"Created": f"{now:%Y-%m-%dT%H:%M:%S}.123456789Z"}))
    assert dynamodb.locked_since(aws, table, path, now - timedelta(seconds=5))
    assert not dynamodb.locked_since(aws, table, path, now + timedelta(seconds=5))
    assert not dynamodb.locked_since(aws, table, f"{path}-none", now)


def test_no_table(aws: Aws) -> None:
    """A table of that name that there is not."""
    with pytest.raises(NotFound):
        dynamodb.digest(aws, "no-such-table", "b/k")
