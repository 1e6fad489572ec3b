"""KMS: whether a key that data is encrypted with can still be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_envdr.aws import Aws


def key_state(aws: Aws, key: str) -> str:
    """ "Enabled", "Disabled", "PendingDeletion" (it is gone in 7 to 30 days), ...; `key` is an id, an ARN or an alias.

    Raises:
        NotFound: there is no such key.
    """
    answer = aws.call("kms.DescribeKey", what=f"Key {key} cannot be looked at", KeyId=key)
    return str(answer["KeyMetadata"]["KeyState"])
