"""RDS through plain clients: what the API says of an instance is how its server is."""

from __future__ import annotations

import os
import signal
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql
import pytest
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import rds
from pytest_envdr.sandbox.data_plane.mariadb import version
from pytest_envdr.sandbox.envelope import database
from pytest_envdr.waiting import wait_until
from tests.sandbox.control_plane.served import Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "correct horse"  # noqa: S105 (an example's)
FAST: dict[str, Any] = {"Delay": 0.1, "MaxAttempts": 300}
SEEDED = "seeded-db"

_numbers = count(1)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("rds")
    with serving(directory, {"rds": rds}, region="eu-west-3", network="127.207.0.0/16", speed=50) as served:
        served.world.contents[SEEDED] = database.content(1)
        served.world.cache = directory / "cache"
        yield served


@pytest.fixture(scope="module")
def instance(served: Served) -> str:
    """An instance that is available."""
    return create(served)


def create(served: Served, identifier: str | None = None, **more: Any) -> str:
    identifier = identifier or f"db-{next(_numbers)}"
    wanted = {"Engine": "mariadb", "DBInstanceClass": "db.t4g.micro", "AllocatedStorage": 20, "DBName": "shop"}
    account = {"MasterUsername": "owner", "MasterUserPassword": PASSWORD, "BackupRetentionPeriod": 0}
    served.client("rds").create_db_instance(DBInstanceIdentifier=identifier, **wanted, **account, **more)
    await_available(served, identifier)
    return identifier


def await_available(served: Served, identifier: str) -> None:
    waiter = served.client("rds").get_waiter("db_instance_available")
    waiter.wait(DBInstanceIdentifier=identifier, WaiterConfig=FAST)


def described(served: Served, identifier: str) -> dict[str, Any]:
    [row] = served.client("rds").describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"]
    return dict(row)


def await_status(served: Served, identifier: str, status: str) -> None:
    wait_until(
        lambda: described(served, identifier)["DBInstanceStatus"],
        lambda seen: seen == status,
        what=f"{identifier} {status}",
        deadline=30,
        longest_interval=0.1,
    )


def messages(served: Served, identifier: str) -> list[str]:
    events = served.client("rds").describe_events(SourceIdentifier=identifier, SourceType="db-instance")["Events"]
    return [event["Message"] for event in events]


def pid(served: Served, identifier: str) -> int:
    """The server's process, found by what it wrote itself."""
    resource = described(served, identifier)["DbiResourceId"]
    return int((served.world.directory / "rds" / resource / "data" / "mysqld.pid").read_text())


def query(served: Served, identifier: str, statement: str, password: str = PASSWORD, schema: str = "shop") -> Any:
    endpoint = described(served, identifier)["Endpoint"]
    with (
        pymysql.connect(
            host=endpoint["Address"],
            port=endpoint["Port"],
            user="owner",
            password=password,
            database=schema,
            autocommit=True,
            connect_timeout=5,
            ssl_disabled=True,
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
        return cursor.fetchall()


def test_an_available_instance_is_a_server_at_its_endpoint(served: Served, instance: str) -> None:
    """Endpoint, port, version, database and master user are those of a server that answers there."""
    row = described(served, instance)
    assert row["Endpoint"]["Address"].startswith("127.207.64.")
    assert row["EngineVersion"] == version()
    [(answered,)] = query(served, instance, "SELECT VERSION()")
    assert answered.startswith(f"{row['EngineVersion']}-MariaDB")


def test_there_is_no_endpoint_before_there_is_a_server(served: Served) -> None:
    """The answer to CreateDBInstance is `creating`, without an endpoint."""
    identifier = f"db-{next(_numbers)}"
    row = served.client("rds").create_db_instance(
        DBInstanceIdentifier=identifier,
        Engine="mariadb",
        DBInstanceClass="db.t4g.micro",
        AllocatedStorage=20,
        MasterUsername="owner",
        MasterUserPassword=PASSWORD,
        BackupRetentionPeriod=0,
    )["DBInstance"]
    assert row["DBInstanceStatus"] == "creating"
    assert not row.get("Endpoint")
    await_available(served, identifier)
    assert messages(served, identifier) == ["DB instance created"]


def test_nothing_is_restorable_that_was_not_backed_up(served: Served, instance: str) -> None:
    """With a retention period of 0 there is no LatestRestorableTime and no automated snapshot."""
    assert "LatestRestorableTime" not in described(served, instance)
    client = served.client("rds")
    assert client.describe_db_snapshots(DBInstanceIdentifier=instance)["DBSnapshots"] == []
    assert (
        client.describe_db_instance_automated_backups(DBInstanceIdentifier=instance)["DBInstanceAutomatedBackups"] == []
    )


def test_two_instances_share_nothing(served: Served, instance: str) -> None:
    """Each has its own address, resource id and rows."""
    other = create(served)
    rows = [described(served, each) for each in (instance, other)]
    assert len({row["DbiResourceId"] for row in rows}) == 2
    assert len({row["Endpoint"]["Address"] for row in rows}) == 2
    query(served, other, "CREATE TABLE here (id INT)")
    assert query(served, instance, "SHOW TABLES") == ()


def test_an_instance_starts_with_the_content_made_for_it(served: Served) -> None:
    """The stack's database comes up with its central and tenant databases."""
    create(served, SEEDED)
    assert query(served, SEEDED, "SELECT slug FROM tenants", schema="central") == (("acme",),)
    assert query(served, SEEDED, "SELECT COUNT(*) FROM orders", schema="tenant_acme") == ((300,),)


def test_a_server_that_died_is_recovered(served: Served, instance: str) -> None:
    """After SIGKILL the instance is `rebooting`, then available with what was committed, and the events say so."""
    query(served, instance, "CREATE TABLE kept (id INT)")
    query(served, instance, "INSERT INTO kept VALUES (1)")
    os.kill(pid(served, instance), signal.SIGKILL)
    await_status(served, instance, "rebooting")
    await_available(served, instance)
    assert query(served, instance, "SELECT id FROM kept") == ((1,),)
    assert messages(served, instance)[-2:] == [
        "Recovery of the DB instance has started. Recovery time will vary with the amount of data to be recovered.",
        "DB instance restarted",
    ]


def test_a_frozen_server_is_not_available(served: Served) -> None:
    """DescribeDBInstances is acted out: freezing the server takes `available` away, and it is restarted."""
    frozen = create(served)
    process = pid(served, frozen)
    os.kill(process, signal.SIGSTOP)
    await_status(served, frozen, "rebooting")
    await_available(served, frozen)
    assert pid(served, frozen) != process
    assert query(served, frozen, "SELECT 1") == ((1,),)


def test_reboot_stop_and_start(served: Served) -> None:
    """Each passes through its own status, and really takes the server down and up."""
    identifier, client = create(served), served.client("rds")
    process = pid(served, identifier)
    assert client.reboot_db_instance(DBInstanceIdentifier=identifier)["DBInstance"]["DBInstanceStatus"] == "rebooting"
    await_available(served, identifier)
    assert pid(served, identifier) != process
    assert client.stop_db_instance(DBInstanceIdentifier=identifier)["DBInstance"]["DBInstanceStatus"] == "stopping"
    await_status(served, identifier, "stopped")
    with pytest.raises(pymysql.MySQLError):
        query(served, identifier, "SELECT 1")
    with pytest.raises(ClientError, match="InvalidDBInstanceState"):
        client.reboot_db_instance(DBInstanceIdentifier=identifier)
    client.start_db_instance(DBInstanceIdentifier=identifier)
    await_available(served, identifier)
    told = ["DB instance shutdown", "DB instance restarted", "DB instance stopped", "DB instance started"]
    assert messages(served, identifier)[1:] == told


def test_the_master_password_can_be_reset(served: Served) -> None:
    """After ModifyDBInstance the new password works and the old one does not."""
    identifier = create(served)
    served.client("rds").modify_db_instance(
        DBInstanceIdentifier=identifier, MasterUserPassword="battery staple", ApplyImmediately=True
    )
    wait_until(
        lambda: messages(served, identifier)[-1],
        lambda message: message == "Reset master credentials",
        what="the reset",
        deadline=10,
    )
    assert query(served, identifier, "SELECT 1", "battery staple") == ((1,),)
    with pytest.raises(pymysql.MySQLError, match="Access denied"):
        query(served, identifier, "SELECT 1")


def test_a_deleted_instance_is_gone_with_its_files(served: Served) -> None:
    """`deleting`, then DBInstanceNotFound; the server and its storage are gone. A protected one is refused."""
    identifier, client = create(served, DeletionProtection=True), served.client("rds")
    directory = served.world.directory / "rds" / described(served, identifier)["DbiResourceId"]
    process = pid(served, identifier)
    with pytest.raises(ClientError, match="protected"):
        client.delete_db_instance(DBInstanceIdentifier=identifier, SkipFinalSnapshot=True)
    client.modify_db_instance(DBInstanceIdentifier=identifier, DeletionProtection=False, ApplyImmediately=True)
    row = client.delete_db_instance(DBInstanceIdentifier=identifier, SkipFinalSnapshot=True)["DBInstance"]
    assert row["DBInstanceStatus"] == "deleting"
    client.get_waiter("db_instance_deleted").wait(DBInstanceIdentifier=identifier, WaiterConfig=FAST)
    wait_until(lambda: not directory.exists(), what="its files gone", deadline=10)
    assert not Path(f"/proc/{process}").exists()


def test_what_rds_would_refuse_is_refused(served: Served, instance: str) -> None:
    """A second of the same name, a version that there is not, and no password: AWS's codes. Other engines: 501."""
    client, named = served.client("rds"), {"DBInstanceIdentifier": "refused", "DBInstanceClass": "db.t4g.micro"}
    account = {"MasterUsername": "owner", "MasterUserPassword": PASSWORD}
    for code, request in {
        "DBInstanceAlreadyExists": named | account | {"DBInstanceIdentifier": instance, "Engine": "mariadb"},
        "InvalidParameterCombination": named | account | {"Engine": "mariadb", "EngineVersion": "5.5"},
        "InvalidParameterValue": named | {"Engine": "mariadb", "MasterUsername": "owner"},
        "NotImplementedInSandbox": named | account | {"Engine": "postgres"},
    }.items():
        with pytest.raises(ClientError) as refused:
            client.create_db_instance(**request)
        assert refused.value.response["Error"]["Code"] == code
    row = served.cli_json("rds", "describe-db-instances", "--db-instance-identifier", instance)["DBInstances"][0]
    assert row["DBInstanceStatus"] == "available"
