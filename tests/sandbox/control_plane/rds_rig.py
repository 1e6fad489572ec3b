"""What the tests of RDS ask of an instance: through boto3, and over its own connection."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import pymysql

from pytest_envdr.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sandbox.control_plane.served import Served

PASSWORD = "correct horse"  # noqa: S105 (an example's)
FAST: dict[str, Any] = {"Delay": 0.1, "MaxAttempts": 600}
SECONDS = 60.0


@dataclass
class Rig:
    """RDS as a client has it."""

    served: Served
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.rds = self.served.client("rds")

    def name(self, word: str = "db") -> str:
        """An identifier that is new."""
        return f"{word}-{next(self._numbers)}"

    def create(self, identifier: str | None = None, **more: Any) -> str:
        """An instance that is available, without automated backups unless they are asked for."""
        identifier = identifier or self.name()
        wanted = {
            "Engine": "mariadb",
            "DBInstanceClass": "db.t4g.micro",
            "AllocatedStorage": 20,
            "DBName": "shop",
            "MasterUsername": "owner",
            "MasterUserPassword": PASSWORD,
            "BackupRetentionPeriod": 0,
            **more,
        }
        self.rds.create_db_instance(DBInstanceIdentifier=identifier, **wanted)
        self.await_available(identifier)
        return identifier

    def snapshot(self, instance: str, identifier: str | None = None, **more: Any) -> str:
        """A manual snapshot that is available; the instance is so again too."""
        identifier = identifier or self.name("snapshot")
        self.rds.create_db_snapshot(DBInstanceIdentifier=instance, DBSnapshotIdentifier=identifier, **more)
        self.await_snapshot(identifier)
        self.await_available(instance)
        return identifier

    def restore(self, snapshot: str, identifier: str | None = None, **more: Any) -> str:
        """An instance restored from a snapshot, available."""
        identifier = identifier or self.name("restored")
        self.rds.restore_db_instance_from_db_snapshot(
            DBInstanceIdentifier=identifier, DBSnapshotIdentifier=snapshot, **more
        )
        self.await_available(identifier)
        return identifier

    def await_available(self, identifier: str) -> None:
        self.rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier=identifier, WaiterConfig=FAST)

    def await_snapshot(self, identifier: str) -> None:
        self.rds.get_waiter("db_snapshot_available").wait(DBSnapshotIdentifier=identifier, WaiterConfig=FAST)

    def delete(self, identifier: str, **more: Any) -> None:
        """Delete an instance, and wait until it is gone."""
        self.rds.delete_db_instance(DBInstanceIdentifier=identifier, **({"SkipFinalSnapshot": True} | more))
        self.rds.get_waiter("db_instance_deleted").wait(DBInstanceIdentifier=identifier, WaiterConfig=FAST)

    def row(self, identifier: str) -> dict[str, Any]:
        """What DescribeDBInstances shows of it."""
        return dict(self.rds.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"][0])

    def snapshot_row(self, identifier: str) -> dict[str, Any]:
        """What DescribeDBSnapshots shows of it."""
        return dict(self.rds.describe_db_snapshots(DBSnapshotIdentifier=identifier)["DBSnapshots"][0])

    def await_status(self, identifier: str, status: str) -> None:
        wait_until(
            lambda: self.row(identifier)["DBInstanceStatus"],
            lambda seen: seen == status,
            what=f"{identifier} {status}",
            deadline=SECONDS,
            longest_interval=0.05,
        )

    def automated(self, identifier: str) -> list[dict[str, Any]]:
        """Its available automated snapshots."""
        rows = self.rds.describe_db_snapshots(DBInstanceIdentifier=identifier, SnapshotType="automated")["DBSnapshots"]
        return [row for row in rows if row["Status"] == "available"]

    def messages(self, identifier: str, source: str = "db-instance") -> list[str]:
        events = self.rds.describe_events(SourceIdentifier=identifier, SourceType=source)["Events"]
        return [event["Message"] for event in events]

    def connect(self, identifier: str, password: str = PASSWORD, schema: str = "shop") -> Any:
        endpoint = self.row(identifier)["Endpoint"]
        return closing(
            pymysql.connect(
                host=endpoint["Address"],
                port=endpoint["Port"],
                user="owner",
                password=password,
                database=schema,
                autocommit=True,
                connect_timeout=10,
                read_timeout=30,
                ssl_disabled=True,
            )
        )

    def query(self, identifier: str, *statements: str, password: str = PASSWORD, schema: str = "shop") -> Any:
        """Run statements; the rows of the last."""
        with self.connect(identifier, password, schema) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall()
