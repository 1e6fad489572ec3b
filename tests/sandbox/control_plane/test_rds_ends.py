"""The ends that a restore can take, each brought about by plain API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError, WaiterError

from pytest_envdr.sandbox.control_plane import rds
from pytest_envdr.waiting import wait_until
from tests.sandbox.control_plane.rds_rig import FAST, Rig
from tests.sandbox.control_plane.served import serving
from tests.sandbox.control_plane.test_rds_parameters import group, modify

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    directory = tmp_path_factory.mktemp("rds")
    with serving(directory, {"rds": rds}, region="eu-west-1", network="127.226.0.0/16", speed=300) as served:
        served.world.cache = directory / "cache"
        yield Rig(served)


def begin_restore(rig: Rig, snapshot: str) -> str:
    name = rig.name("restored")
    rig.rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier=name, DBSnapshotIdentifier=snapshot)
    return name


def test_a_table_of_another_engine_makes_a_restore_incompatible(rig: Rig) -> None:
    """An Aria table in the snapshot: `incompatible-restore`, which the waiter fails on; only a deletion gets out."""
    instance = rig.create()
    rig.query(instance, "CREATE TABLE old (id INT) ENGINE=Aria")
    restored = begin_restore(rig, rig.snapshot(instance))
    rig.await_status(restored, "incompatible-restore")
    with pytest.raises(WaiterError, match="incompatible-restore"):
        rig.rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier=restored, WaiterConfig=FAST)
    with pytest.raises(ClientError, match="InvalidDBInstanceState"):
        rig.rds.delete_db_instance(DBInstanceIdentifier=restored, FinalDBSnapshotIdentifier="final")
    rig.delete(restored)


def test_a_snapshot_that_no_server_starts_over_fails(rig: Rig) -> None:
    """Its files damaged, the restored instance is `failed`, and can be deleted; the source is as it was."""
    instance = rig.create()
    places = rig.served.world.directory / "rds" / "snapshots"
    before = set(places.iterdir()) if places.exists() else set()
    snapshot = rig.snapshot(instance)
    [directory] = set(places.iterdir()) - before
    (directory / "ibdata1").write_bytes(b"not a tablespace" * 4096)
    restored = begin_restore(rig, snapshot)
    rig.await_status(restored, "failed")
    rig.delete(restored)
    assert rig.query(instance, "SELECT 1") == ((1,),)


def test_a_restore_with_parameters_that_no_server_takes(rig: Rig) -> None:
    """`incompatible-parameters`, once the storage is there and the server is started with them."""
    instance, own = rig.create(), group(rig)
    snapshot, name = rig.snapshot(instance), rig.name("restored")
    modify(rig, own, "pending-reboot", innodb_buffer_pool_size="4398046511104")
    rig.rds.restore_db_instance_from_db_snapshot(
        DBInstanceIdentifier=name, DBSnapshotIdentifier=snapshot, DBParameterGroupName=own
    )
    rig.await_status(name, "incompatible-parameters")
    rig.delete(name)


def test_an_instance_can_be_deleted_while_it_is_restored(rig: Rig) -> None:
    """Neither it nor its files are left."""
    instance = rig.create()
    restored = begin_restore(rig, rig.snapshot(instance))
    directory = rig.served.world.directory / "rds" / rig.row(restored)["DbiResourceId"]
    rig.rds.delete_db_instance(DBInstanceIdentifier=restored, SkipFinalSnapshot=True)
    rig.rds.get_waiter("db_instance_deleted").wait(DBInstanceIdentifier=restored, WaiterConfig=FAST)
    rig.served.cli("rds", "wait", "db-instance-deleted", "--db-instance-identifier", restored)
    wait_until(lambda: not directory.exists(), what="its files gone", deadline=30)
