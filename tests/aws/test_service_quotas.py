"""Service Quotas: the values in force."""

from __future__ import annotations

import pytest

from pytest_envdr.aws import Aws, service_quotas
from pytest_envdr.errors import NotFound
from tests import account


def test_a_quota_by_its_code() -> None:
    """Its name and the value in force."""
    found = service_quotas.quota(Aws(account.stack()), "vpc", "L-F678F1CE")
    assert found.name == "VPCs per Region"
    assert found.value > 0


def test_a_quota_that_is_not_there() -> None:
    """Named, with its Region."""
    with pytest.raises(NotFound, match="Quota nothing/L-1 in eu-west-1 cannot be read"):
        service_quotas.quota(Aws(account.stack()), "nothing", "L-1")
