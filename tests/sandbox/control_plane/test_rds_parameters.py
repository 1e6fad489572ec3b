"""Parameter groups: what they say is what the server does, at once or after a reboot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import rds
from pytest_envdr.sandbox.data_plane.mariadb import version
from pytest_envdr.waiting import wait_until
from tests.sandbox.control_plane.rds_rig import Rig
from tests.sandbox.control_plane.served import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

FAMILY = "mariadb" + ".".join(version().split(".")[:2])


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    directory = tmp_path_factory.mktemp("rds")
    with serving(directory, {"rds": rds}, region="eu-west-1", network="127.225.0.0/16", speed=200) as served:
        served.world.cache = directory / "cache"
        yield Rig(served)


def group(rig: Rig, **values: str) -> str:
    """A new parameter group with those values, which wait for a reboot."""
    name = rig.name("group")
    rig.rds.create_db_parameter_group(DBParameterGroupName=name, DBParameterGroupFamily=FAMILY, Description="a test's")
    modify(rig, name, "pending-reboot", **values)
    return name


def modify(rig: Rig, name: str, method: str, **values: str) -> None:
    rows = [{"ParameterName": key, "ParameterValue": value, "ApplyMethod": method} for key, value in values.items()]
    if rows:
        rig.rds.modify_db_parameter_group(DBParameterGroupName=name, Parameters=rows)


def variable(rig: Rig, instance: str, name: str) -> Any:
    return rig.query(instance, f"SELECT @@GLOBAL.{name}")[0][0]


def apply_status(rig: Rig, instance: str) -> str:
    [row] = rig.row(instance)["DBParameterGroups"]
    return str(row["ParameterApplyStatus"])


def await_in_sync(rig: Rig, instance: str) -> None:
    wait_until(lambda: apply_status(rig, instance), lambda seen: seen == "in-sync", what="in-sync", deadline=30)


def test_a_server_starts_with_its_parameter_group(rig: Rig) -> None:
    """Without one of its own an instance's event scheduler is off, as RDS has it; with one it is as that says."""
    bare, own = rig.create(), rig.create(DBParameterGroupName=group(rig, event_scheduler="ON", max_connections="77"))
    assert variable(rig, bare, "event_scheduler") == "OFF"
    assert (variable(rig, own, "event_scheduler"), variable(rig, own, "max_connections")) == ("ON", 77)
    assert apply_status(rig, own) == "in-sync"


def test_a_dynamic_parameter_is_set_on_the_running_server(rig: Rig) -> None:
    """`immediate` needs no reboot; `pending-reboot` does, and RebootDBInstance brings it; a reset takes both back."""
    own = group(rig)
    instance = rig.create(DBParameterGroupName=own)
    modify(rig, own, "immediate", long_query_time="7")
    await_in_sync(rig, instance)
    assert variable(rig, instance, "long_query_time") == 7
    modify(rig, own, "pending-reboot", max_connections="66")
    assert apply_status(rig, instance) == "pending-reboot"
    assert variable(rig, instance, "max_connections") != 66
    rig.rds.reboot_db_instance(DBInstanceIdentifier=instance)
    rig.await_available(instance)
    assert (apply_status(rig, instance), variable(rig, instance, "max_connections")) == ("in-sync", 66)
    rig.rds.reset_db_parameter_group(DBParameterGroupName=own, ResetAllParameters=True)
    await_in_sync(rig, instance)
    assert variable(rig, instance, "long_query_time") == 10


def test_a_static_parameter_waits_for_a_reboot(rig: Rig) -> None:
    """`immediate` is refused for it; pending, it is in effect after the reboot."""
    own = group(rig)
    instance = rig.create(DBParameterGroupName=own)
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        modify(rig, own, "immediate", back_log="33")
    modify(rig, own, "pending-reboot", back_log="33")
    assert (apply_status(rig, instance), variable(rig, instance, "back_log") == 33) == ("pending-reboot", False)
    rig.rds.reboot_db_instance(DBInstanceIdentifier=instance)
    rig.await_available(instance)
    assert (apply_status(rig, instance), variable(rig, instance, "back_log")) == ("in-sync", 33)


def test_another_group_waits_for_a_reboot(rig: Rig) -> None:
    """The instance shows the new group at once, `pending-reboot`; its server does not know it before the reboot."""
    instance, other = rig.create(), group(rig, event_scheduler="ON")
    rig.rds.modify_db_instance(DBInstanceIdentifier=instance, DBParameterGroupName=other, ApplyImmediately=True)
    [row] = rig.row(instance)["DBParameterGroups"]
    assert row == {"DBParameterGroupName": other, "ParameterApplyStatus": "pending-reboot"}
    assert variable(rig, instance, "event_scheduler") == "OFF"
    rig.rds.reboot_db_instance(DBInstanceIdentifier=instance)
    rig.await_available(instance)
    assert (apply_status(rig, instance), variable(rig, instance, "event_scheduler")) == ("in-sync", "ON")


def test_parameters_are_described_with_where_they_come_from(rig: Rig) -> None:
    """All of the engine's with their kind, the group's own as `user`; a copy has the same, of its own."""
    own = group(rig, max_connections="55")
    copy = rig.name("copy")
    rig.rds.copy_db_parameter_group(
        SourceDBParameterGroupIdentifier=own,
        TargetDBParameterGroupIdentifier=copy,
        TargetDBParameterGroupDescription="a copy",
    )
    modify(rig, own, "pending-reboot", max_connections="56")
    pages = rig.rds.get_paginator("describe_db_parameters").paginate(DBParameterGroupName=copy)
    rows = {row["ParameterName"]: row for page in pages for row in page["Parameters"]}
    assert len(rows) > 300
    assert (rows["max_connections"]["ParameterValue"], rows["max_connections"]["Source"]) == ("55", "user")
    assert (rows["event_scheduler"]["ParameterValue"], rows["event_scheduler"]["Source"]) == ("OFF", "engine-default")
    assert (rows["back_log"]["ApplyType"], rows["max_connections"]["ApplyType"]) == ("static", "dynamic")
    assert not rows["datadir"]["IsModifiable"]
    answer = rig.rds.describe_db_parameters(DBParameterGroupName=copy, Source="user")
    assert [row["ParameterName"] for row in answer["Parameters"]] == ["max_connections"]


def test_an_instance_whose_server_refuses_its_parameters_is_incompatible(rig: Rig) -> None:
    """`incompatible-parameters` after the reboot; available again once the group is mended and it is rebooted."""
    own = group(rig)
    instance = rig.create(DBParameterGroupName=own)
    modify(rig, own, "pending-reboot", innodb_buffer_pool_size="4398046511104")
    rig.rds.reboot_db_instance(DBInstanceIdentifier=instance)
    rig.await_status(instance, "incompatible-parameters")
    rig.rds.reset_db_parameter_group(
        DBParameterGroupName=own,
        Parameters=[{"ParameterName": "innodb_buffer_pool_size", "ApplyMethod": "pending-reboot"}],
    )
    rig.rds.reboot_db_instance(DBInstanceIdentifier=instance)
    rig.await_available(instance)
    assert rig.query(instance, "SELECT 1") == ((1,),)


def test_what_rds_would_refuse_is_refused(rig: Rig) -> None:
    """AWS's codes for parameters and groups that there are not, values that cannot be, and groups in use."""
    own, default = group(rig), f"default.{FAMILY}"
    rig.create(DBParameterGroupName=own)
    for code, name, parameter, value in [
        ("InvalidParameterValue", own, "no_such_parameter", "1"),
        ("InvalidParameterValue", own, "datadir", "/tmp"),  # noqa: S108 (nothing is written there)
        ("InvalidParameterValue", own, "sql_mode", "NO_SUCH_MODE"),
        ("InvalidParameterValue", default, "max_connections", "5"),
        ("DBParameterGroupNotFound", "missing", "max_connections", "5"),
    ]:
        with pytest.raises(ClientError) as refused:
            modify(rig, name, "pending-reboot", **{parameter: value})
        assert refused.value.response["Error"]["Code"] == code, parameter
    for code, name in {"InvalidDBParameterGroupState": own, "DBParameterGroupNotFound": "missing"}.items():
        with pytest.raises(ClientError) as refused:
            rig.rds.delete_db_parameter_group(DBParameterGroupName=name)
        assert refused.value.response["Error"]["Code"] == code
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        rig.rds.create_db_parameter_group(
            DBParameterGroupName="old", DBParameterGroupFamily="mariadb5.5", Description="old"
        )
