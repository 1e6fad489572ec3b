"""Secrets in two Regions: a replica is read-only and follows its primary, until it is promoted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import secretsmanager
from tests.sandbox.control_plane.served import Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE, THERE = "eu-west-1", "eu-central-1"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory, modules = tmp_path_factory.mktemp("secrets"), {"secretsmanager": secretsmanager}
    with serving(
        directory, modules, region=HERE, network="127.17.0.0/16", speed=100, beside=(THERE, "127.20.0.0/16")
    ) as served:
        yield served


@pytest.fixture(scope="module")
def here(served: Served) -> Any:
    return served.client("secretsmanager")


@pytest.fixture(scope="module")
def there(served: Served) -> Any:
    assert served.beside is not None
    return served.beside.client("secretsmanager")


def test_a_replica_follows_and_cannot_be_written(here: Any, there: Any) -> None:
    """It has its own Region's ARN and key and the primary's newest value; writing and deleting are refused."""
    here.create_secret(Name="shop/db", SecretString="first")
    answer = here.replicate_secret_to_regions(
        SecretId="shop/db", AddReplicaRegions=[{"Region": THERE, "KmsKeyId": "alias/shop"}]
    )
    assert [(row["Region"], row["KmsKeyId"]) for row in answer["ReplicationStatus"]] == [(THERE, "alias/shop")]
    here.put_secret_value(SecretId="shop/db", SecretString="second")
    assert there.get_secret_value(SecretId="shop/db")["SecretString"] == "second"
    row = there.describe_secret(SecretId="shop/db")
    assert (row["ARN"].split(":")[3], row["PrimaryRegion"]) == (THERE, HERE)
    with pytest.raises(ClientError, match="replica"):
        there.put_secret_value(SecretId="shop/db", SecretString="x")
    with pytest.raises(ClientError, match="replica"):
        there.delete_secret(SecretId="shop/db")


def test_a_replica_shows_its_policy(here: Any, there: Any) -> None:
    """Its primary's, or none; its own ARN."""
    statement = {"Effect": "Allow", "Principal": "*", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    here.create_secret(Name="guarded", SecretString="x", AddReplicaRegions=[{"Region": THERE}])
    assert "ResourcePolicy" not in there.get_resource_policy(SecretId="guarded")
    here.put_resource_policy(SecretId="guarded", ResourcePolicy=policy)
    answer = there.get_resource_policy(SecretId="guarded")
    assert (answer["ARN"].split(":")[3], json.loads(answer["ResourcePolicy"])) == (THERE, json.loads(policy))


def test_promotion_breaks_the_link(here: Any, there: Any) -> None:
    """A promoted replica keeps ARN and value, can be written, and no longer follows; the primary lists it no more."""
    here.create_secret(Name="promoted", SecretString="first", AddReplicaRegions=[{"Region": THERE}])
    arn = there.describe_secret(SecretId="promoted")["ARN"]
    assert there.stop_replication_to_replica(SecretId="promoted")["ARN"] == arn
    here.put_secret_value(SecretId="promoted", SecretString="here")
    assert there.get_secret_value(SecretId=arn)["SecretString"] == "first"
    there.put_secret_value(SecretId="promoted", SecretString="there")
    assert there.get_secret_value(SecretId="promoted")["SecretString"] == "there"
    assert here.get_secret_value(SecretId="promoted")["SecretString"] == "here"
    assert "ReplicationStatus" not in here.describe_secret(SecretId="promoted")
    assert "PrimaryRegion" not in there.describe_secret(SecretId="promoted")


def test_only_a_replica_is_promoted(here: Any) -> None:
    """A secret that is no replica, and one that there is not, are refused."""
    here.create_secret(Name="plain", SecretString="x")
    with pytest.raises(ClientError, match="InvalidRequestException"):
        here.stop_replication_to_replica(SecretId="plain")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        here.stop_replication_to_replica(SecretId="none")
