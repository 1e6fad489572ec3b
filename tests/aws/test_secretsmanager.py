"""Secrets Manager: user and password of a secret, which show in no text."""

from __future__ import annotations

import json

import pytest

from pytest_envdr.aws import Aws, secretsmanager
from pytest_envdr.errors import NotFound, UsageError
from tests import account


def secret(text: str) -> str:
    """A new secret's name."""
    name = account.unique("secret")
    account.plain("secretsmanager").create_secret(Name=name, SecretString=text)
    return name


def test_a_login_hides_its_password() -> None:
    """The current version's user and password; what prints it shows the user only."""
    name = secret(json.dumps({"username": "owner", "password": "old", "port": 3306}))
    account.plain("secretsmanager").put_secret_value(
        SecretId=name, SecretString=json.dumps({"username": "owner", "password": "n€w"})
    )
    login = secretsmanager.login(Aws(account.stack()), name)
    assert (login.user, login.password) == ("owner", "n€w")
    assert "n€w" not in repr(login)


@pytest.mark.parametrize("text", ["hunter2", json.dumps({"username": "owner"}), json.dumps(["hunter2"])])
def test_another_secret_cannot_be_used(text: str) -> None:
    """No JSON object with both: the user's mistake, without a word of what is in it."""
    with pytest.raises(UsageError, match=r"no JSON object with `username` and `password`") as caught:
        secretsmanager.login(Aws(account.stack()), secret(text))
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_secret_that_is_not_there() -> None:
    """Named."""
    with pytest.raises(NotFound, match="Secret nothing/there cannot be read"):
        secretsmanager.login(Aws(account.stack()), "nothing/there")


def test_a_fingerprint_tells_whether_two_are_the_same() -> None:
    """Equal for equal contents, "" for a secret that is not there; what is in it shows nowhere."""
    aws = Aws(account.stack())
    one, same, other = secret("hunter2"), secret("hunter2"), secret("hunter3")
    prints = [secretsmanager.fingerprint(aws, name) for name in (one, same, other, "nothing/there")]
    assert prints[0] == prints[1] != prints[2]
    assert prints[3] == ""
    assert "hunter" not in "".join(prints)
