"""Secrets Manager: the credentials that the stack file names."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_envdr.errors import NotFound, UsageError

if TYPE_CHECKING:
    from pytest_envdr.aws import Aws


@dataclass(frozen=True)
class Login:
    """A database's user and password, as RDS's own and most other secrets keep them. The password shows in no text."""

    user: str
    password: str = field(repr=False)


def login(aws: Aws, secret: str) -> Login:
    """User and password of a secret's current version.

    Raises:
        NotFound: there is no such secret.
        UsageError: it does not hold `username` and `password` as JSON.
    """
    what = f"Secret {secret} cannot be read"
    text = aws.call("secretsmanager.GetSecretValue", what=what, SecretId=secret).get("SecretString", "")
    try:
        row = json.loads(text)
        return Login(str(row["username"]), str(row["password"]))
    except (ValueError, KeyError, TypeError):
        # From nothing: the error's own words would show what is in the secret.
        raise UsageError(
            f"Secret {secret} cannot be used: it is no JSON object with `username` and `password`.\n"
            f"Looked at: {aws.stack.path}: database.secret"
        ) from None


def fingerprint(aws: Aws, secret: str) -> str:
    """A hash of a secret's current version, which tells whether two are the same and nothing else; "" where there is
    no such secret.

    Raises:
        AwsError: it may not be read, or is about to be deleted.
    """
    what = f"Secret {secret} in {aws.stack.region} cannot be read"
    try:
        answer = aws.call("secretsmanager.GetSecretValue", what=what, SecretId=secret)
    except NotFound:
        return ""
    content = answer.get("SecretString", "").encode() or answer.get("SecretBinary", b"")
    return hashlib.sha256(content).hexdigest()
