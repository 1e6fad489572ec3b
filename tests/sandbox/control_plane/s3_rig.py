"""A bucket of its own for each test of S3, and what the tests ask of it."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError

_numbers = count(1)


def make(client: Any, *, versioning: str | None = None, **more: Any) -> str:
    name = f"bucket-{next(_numbers)}"
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": client.meta.region_name}, **more)
    if versioning:
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": versioning})
    return name


def put(client: Any, bucket: str, key: str, body: bytes = b"x", **more: Any) -> str:
    """The new version's id."""
    return str(client.put_object(Bucket=bucket, Key=key, Body=body, **more).get("VersionId", "null"))


def refused(call: Any, **arguments: Any) -> tuple[int, str]:
    """Status and code of the error that a call ends with."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer: Any = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]
