"""A process that does one act on a bucket and kills itself at a point of it: `python -m tests.aws.act_on_s3_and_die
'<json>'`; the points are those of `tests.act_and_die`, of the last entry that the act writes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_envdr.aws import Aws
from pytest_envdr.guard import mutating
from pytest_envdr.journal import Header, Journal
from tests import account
from tests.act_and_die import die
from tests.aws.test_s3_acts import did

if TYPE_CHECKING:
    from pytest_envdr.aws import Call
    from pytest_envdr.journal import Entry

LAST = {"delete_current": "s3.DeleteObjects", "overwrite": "s3.PutObject", "fill": "s3.CopyObject"}
BACK = "s3.CopyObject"
"""The act whose points count: of `copy_back` it is the second of its kind."""


def main(order: dict[str, Any]) -> None:
    """Act, and die at the point that was ordered."""
    act, bucket = order["act"], order["subject"]
    last, entries = LAST.get(act, BACK), {"copy_back": 2}.get(act, 1)
    begun: list[str] = []

    def told(entry: Entry, state: str) -> None:
        if entry.act == last and state == "intended":
            begun.append(entry.id)
        if entry.act == last and len(begun) == entries and state == order["point"]:
            die()

    def called(call: Call) -> None:
        operation = f"{call.service}.{call.operation}"
        if order["point"] == "answered" and len(begun) == entries and mutating(operation):
            die()

    header = Header("killed", account.ACCOUNT, account.REGION, order["endpoint"])
    with Journal.open(Path(order["path"]), header, listener=told) as journal:
        aws = Aws(account.stack(endpoint=order["endpoint"]), journal, called)
        did(aws, journal, bucket, act, order["before"])


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
