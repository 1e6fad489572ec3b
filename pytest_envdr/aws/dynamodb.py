"""DynamoDB as Terraform's S3 backend uses it: one table with a digest of each state and the lock on it.

    LockID "<bucket>/<key>-md5"   Digest   the MD5 of the state's bytes in hex; a state that does not match is refused
    LockID "<bucket>/<key>"       Info     who holds the lock, as JSON

(terraform, internal/backend/remote-state/s3/client.go.) `path` is "<bucket>/<key>" throughout.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pytest_envdr.aws import Act
from pytest_envdr.errors import UndoFailed
from pytest_envdr.journal import Inverse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Journal

DIGEST = "-md5"
OWN = "envdr/"
"""How the keys begin that a drill makes; what is under them may be deleted whoever put it there."""


def digest(aws: Aws, table: str, path: str) -> str:
    """The MD5 in hex that the state's bytes must have; "" where the table has none for it.

    Raises:
        NotFound: there is no such table.
    """
    return _attribute(aws, table, f"{path}{DIGEST}", "Digest")


def lock(aws: Aws, table: str, path: str) -> str | None:
    """What the lock's holder wrote, as JSON; None where nobody holds it.

    Raises:
        NotFound: there is no such table.
    """
    item = _item(aws, table, path)
    return None if item is None else str(item.get("Info", {}).get("S", ""))


def locked_since(aws: Aws, table: str, path: str, since: datetime) -> bool:
    """Whether the lock was taken since: by a Terraform that may be ending right now, because who started it was
    killed."""
    try:
        created = json.loads(lock(aws, table, path) or "{}")["Created"]
        return datetime.fromisoformat(re.sub(r"\.\d+", "", created)) >= since
    except (ValueError, KeyError, TypeError):
        return False


def set_digest(aws: Aws, journal: Journal, table: str, path: str, md5: str) -> None:
    """Let the table say what the state's bytes are. Undone, it says what it said before, or nothing.

    Raises:
        AwsError, UsageError: as `Aws.call`.
    """
    key = f"{path}{DIGEST}"
    before = digest(aws, table, path)
    arguments = {"TableName": table, "Item": {"LockID": {"S": key}, "Digest": {"S": md5}}}
    restores = f"digest of {path} in {table} {before or 'absent'}"
    where = {"TableName": table, "LockID": key, "before": before, "set": md5}
    inverse = Inverse("dynamodb.PutItem" if before else "dynamodb.DeleteItem", where, restores)
    aws.act(journal, Act("dynamodb.PutItem", arguments, inverse, f"The digest of {path} cannot be put in {table}"))


def take_lock(aws: Aws, journal: Journal, table: str, path: str, info: str, *, id: str) -> None:  # noqa: A002 (its name)
    """Hold the lock as Terraform does: where nobody has it. Undone, it is released, if it is this one still.

    Raises:
        AwsError: "ConditionalCheckFailedException" where somebody holds it.
    """
    arguments = {
        "TableName": table,
        "Item": {"LockID": {"S": path}, "Info": {"S": info}},
        "ConditionExpression": "attribute_not_exists(LockID)",
    }
    inverse = Inverse("dynamodb.DeleteItem", {"TableName": table, "LockID": path, "id": id}, f"no lock {id} on {path}")
    aws.act(journal, Act("dynamodb.PutItem", arguments, inverse, f"The lock on {path} cannot be taken in {table}"))


def own_digest(aws: Aws, journal: Journal, table: str, path: str, md5: str) -> None:
    """A digest for a state of the drill's own; "" for none. Undone, digest and lock of it are gone, whoever put them
    there: what a Terraform leaves that is killed as well.

    Raises:
        UndoFailed: by its key it is no drill's own.
        AwsError, UsageError: as `Aws.call`.
    """
    _check_own(path)
    arguments = {"TableName": table, "Item": {"LockID": {"S": f"{path}{DIGEST}"}, "Digest": {"S": md5}}}
    where = {"TableName": table, "LockID": path, "everything": True}
    inverse = Inverse("dynamodb.DeleteItem", where, f"nothing of {path} in {table}")
    with journal.intending("dynamodb.PutItem", arguments, inverse=inverse):
        if md5:
            aws.call("dynamodb.PutItem", what=f"The digest of {path} cannot be put in {table}", **arguments)


def left_of_items(aws: Aws, before: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What an inverse still has to delete, as DeleteItem takes it: all of a state of the drill's own, a lock while it
    has the drill's id, a digest while it is the drill's."""
    table, key = before["TableName"], before["LockID"]
    if before.get("everything"):
        _check_own(key)
        return [_keyed(table, one) for one in (key, f"{key}{DIGEST}") if _item(aws, table, one) is not None]
    item = _item(aws, table, key)
    if item is None:
        return []
    if "id" in before:
        ours = before["id"] in item.get("Info", {}).get("S", "")
        # A lock that Terraform took meanwhile is another one: it must not go with the drill's.
        condition = {
            "ConditionExpression": "contains(Info, :id)",
            "ExpressionAttributeValues": {":id": {"S": before["id"]}},
        }
        return [{**_keyed(table, key), **condition}] if ours else []
    ours = item.get("Digest", {}).get("S", "") == before["set"]
    return [_keyed(table, key)] if ours else []


def left_of_digest(aws: Aws, before: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The digest of before as PutItem takes it, nothing where it is there; None where it is neither that nor the
    drill's: somebody wrote a state since."""
    now = _attribute(aws, before["TableName"], before["LockID"], "Digest")
    if now == before["before"]:
        return []
    if now != before["set"]:
        return None
    item = {"LockID": {"S": before["LockID"]}, "Digest": {"S": before["before"]}}
    return [{"TableName": before["TableName"], "Item": item}]


def _check_own(path: str) -> None:
    if not path.partition("/")[2].startswith(OWN):
        raise UndoFailed(f"what the lock table has of {path} is not deleted: by its key it is no drill's own")


def _keyed(table: str, key: str) -> dict[str, Any]:
    return {"TableName": table, "Key": {"LockID": {"S": key}}}


def _attribute(aws: Aws, table: str, key: str, name: str) -> str:
    item = _item(aws, table, key)
    return "" if item is None else str(item.get(name, {}).get("S", ""))


def _item(aws: Aws, table: str, key: str) -> dict[str, Any] | None:
    what = f"Item {key} of table {table} cannot be read"
    answer = aws.call("dynamodb.GetItem", what=what, **_keyed(table, key), ConsistentRead=True)
    return answer.get("Item")
