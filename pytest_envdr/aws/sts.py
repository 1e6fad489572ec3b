"""STS: whose credentials these are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_envdr.aws import Aws


@dataclass(frozen=True)
class Identity:
    """Whom AWS takes us for."""

    account: str
    arn: str
    user_id: str


def identity(aws: Aws) -> Identity:
    """Whose credentials these are.

    Raises:
        AwsError: they are refused.
        UsageError: there are none, or the endpoint does not answer.
    """
    answer = aws.call("sts.GetCallerIdentity", what="The credentials' account cannot be read")
    return Identity(answer["Account"], answer["Arn"], answer["UserId"])


def account(aws: Aws) -> str:
    """The account id that the credentials belong to; errors as `identity`."""
    return identity(aws).account
