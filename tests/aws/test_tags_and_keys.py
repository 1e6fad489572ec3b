"""What has a tag, and whether a key can be used."""

from __future__ import annotations

import pytest

from pytest_envdr.aws import Aws, kms, resourcegroupstaggingapi
from pytest_envdr.errors import NotFound
from tests import account


def test_what_has_a_tag() -> None:
    """By key and value, and what has another value is another's; an untagged one is not listed."""
    value, sqs = account.unique("stack"), account.plain("sqs")
    names = sorted(account.unique("tagged") for _ in range(3))
    for name in names:
        sqs.create_queue(QueueName=name, tags={"managed-by": value})
    sqs.create_queue(QueueName=account.unique("other"), tags={"managed-by": "another"})
    url = sqs.create_queue(QueueName=account.unique("was"), tags={"managed-by": value})["QueueUrl"]
    sqs.untag_queue(QueueUrl=url, TagKeys=["managed-by"])
    found = resourcegroupstaggingapi.tagged(Aws(account.stack()), "managed-by", value)
    assert [arn.rpartition(":")[2] for arn in found] == names


def test_whether_a_key_can_be_used() -> None:
    """Enabled, or about to be gone; another one is not there."""
    client, aws = account.plain("kms"), Aws(account.stack())
    key = client.create_key()["KeyMetadata"]["KeyId"]
    assert kms.key_state(aws, key) == "Enabled"
    client.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert kms.key_state(aws, key) == "PendingDeletion"
    with pytest.raises(NotFound):
        kms.key_state(aws, "00000000-0000-0000-0000-000000000000")
