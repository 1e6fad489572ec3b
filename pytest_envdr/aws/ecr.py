"""ECR: whether an image is in the registry, and under which digest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_envdr.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_envdr.aws import Aws

REFERENCE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/(?P<repository>[^:@]+)"
    r"(@(?P<digest>sha256:[0-9a-f]{64})|:(?P<tag>[^@]+))?$"
)
"""What a container definition's `image` says for an image in ECR."""


@dataclass(frozen=True)
class Reference:
    """An image in ECR by its repository and its tag or digest."""

    account: str
    region: str
    repository: str
    identifier: Mapping[str, str]


def reference(image: str) -> Reference | None:
    """What a container definition's `image` names; None where it is not in ECR."""
    match = REFERENCE.match(image)
    if match is None:
        return None
    found = match.groupdict()
    by_digest = {"imageDigest": str(found["digest"])}
    identifier = by_digest if found["digest"] else {"imageTag": found["tag"] or "latest"}
    return Reference(str(found["account"]), str(found["region"]), str(found["repository"]), identifier)


def digest(aws: Aws, wanted: Reference) -> str:
    """The digest that an image has now; "" where the registry has no such image (any more).

    Raises:
        AwsError: the registry does not tell.
    """
    what = f"Image {wanted.repository} {dict(wanted.identifier)} cannot be looked up"
    try:
        answer = aws.call(
            "ecr.DescribeImages",
            what=what,
            registryId=wanted.account,
            repositoryName=wanted.repository,
            imageIds=[dict(wanted.identifier)],
        )
    except NotFound:
        return ""
    rows = answer["imageDetails"]
    return str(rows[0]["imageDigest"]) if rows else ""
