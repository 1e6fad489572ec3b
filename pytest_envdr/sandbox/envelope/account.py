"""The sandboxed account's API as the seed sees it: plain boto3 over HTTP, so that every parameter is checked."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from pytest_envdr.errors import PartFailed
from pytest_envdr.sandbox.envelope.names import PREFIX, TAGS
from pytest_envdr.waiting import pause

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_envdr.sandbox.world import World


@dataclass
class Account:
    """Clients of one sandboxed account, made when first asked for."""

    world: World
    _session: boto3.Session = field(
        default_factory=lambda: boto3.Session(aws_access_key_id="sandbox", aws_secret_access_key="sandbox")  # noqa: S106
    )
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    def client(self, service: str, region: str | None = None) -> Any:
        """The boto3 client of a service, in the stack's Region unless another is named."""
        key = service, region or self.world.region
        if key not in self._clients:
            make: Any = self._session.client  # the stubs know each service by its literal name only
            self._clients[key] = make(
                service,
                region_name=key[1],
                endpoint_url=self.world.endpoint,
                config=Config(proxies={}, retries={"mode": "standard", "total_max_attempts": 1}),
            )
        return self._clients[key]

    def bucket(self, name: str) -> None:
        """A new bucket as the Terraform modules make one: tagged, and with ACLs, which their provider writes."""
        s3 = self.client("s3")
        s3.create_bucket(
            Bucket=name,
            CreateBucketConfiguration={"LocationConstraint": self.world.region},
            ObjectOwnership="BucketOwnerPreferred",
        )
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": TAGS})

    def role(self, purpose: str, service: str) -> str:
        """The ARN of a new role of the stack, which this service of AWS's may take."""
        allowed = {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}
        answer = self.client("iam").create_role(
            RoleName=f"{PREFIX}-{purpose}",
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
            Tags=TAGS,
        )
        return str(answer["Role"]["Arn"])

    def wait_until(self, what: str, true: Callable[[], bool], *, deadline: float = 60.0) -> None:
        """Poll until `true`; `deadline` in wall seconds.

        Raises:
            PartFailed: the deadline passed.
        """
        end = time.monotonic() + deadline
        while not true():
            if time.monotonic() > end:
                raise PartFailed(f"{what}: not within {deadline:g} s.")
            pause(0.05)
