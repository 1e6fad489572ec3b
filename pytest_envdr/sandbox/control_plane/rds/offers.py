"""What a Region offers: engine versions, and their instance classes. Only MariaDB, in the version that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend

from pytest_envdr.sandbox.data_plane.mariadb import version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_envdr.sandbox.control_plane.rds.backend import SandboxRDS

ENGINE, LICENSE = "mariadb", "general-public-license"
SIZES = {
    "t3": ("micro", "small", "medium", "large", "xlarge", "2xlarge"),
    "t4g": ("micro", "small", "medium", "large", "xlarge", "2xlarge"),
    "m6g": ("large", "xlarge", "2xlarge", "4xlarge"),
    "m7g": ("large", "xlarge", "2xlarge", "4xlarge"),
    "r6g": ("large", "xlarge", "2xlarge", "4xlarge"),
    "r7g": ("large", "xlarge", "2xlarge", "4xlarge"),
}
"""Class families to the sizes that are offered of them."""
STORAGE = ("gp2", "gp3", "io1")


def versions(wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """DescribeDBEngineVersions.

    Args:
        wanted: the request's parameters, as in the API.
    """
    runs = version()
    family = f"{ENGINE}{'.'.join(runs.split('.')[:2])}"
    row = {
        "Engine": ENGINE,
        "MajorEngineVersion": ".".join(runs.split(".")[:2]),
        "EngineVersion": runs,
        "DBParameterGroupFamily": family,
        "DBEngineDescription": "MariaDb Community Edition",
        "DBEngineVersionDescription": f"MariaDB {runs}",
        "ValidUpgradeTarget": [],
        "SupportsReadReplica": False,
        "Status": "available",
    }
    matches = (
        wanted.get("Engine") in {None, ENGINE}
        and f"{runs}.".startswith(f"{wanted.get('EngineVersion') or runs}.")
        and wanted.get("DBParameterGroupFamily") in {None, family}
    )
    return [row] if matches else []


def options(backend: SandboxRDS, wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """DescribeOrderableDBInstanceOptions: one row for each class and kind of storage.

    Args:
        backend: of which Region.
        wanted: the request's parameters, as in the API.
    """
    if not versions({"Engine": wanted.get("Engine"), "EngineVersion": wanted.get("EngineVersion")}):
        return []
    zones = [{"Name": zone.name} for zone in RegionsAndZonesBackend.zones.get(backend.region_name, [])]
    classes = [f"db.{family}.{size}" for family, sizes in SIZES.items() for size in sizes]
    return [
        {
            "Engine": ENGINE,
            "EngineVersion": version(),
            "DBInstanceClass": each,
            "LicenseModel": LICENSE,
            "AvailabilityZones": zones,
            "MultiAZCapable": True,
            "ReadReplicaCapable": False,
            "Vpc": True,
            "SupportsStorageEncryption": True,
            "StorageType": storage,
        }
        for each in classes
        for storage in STORAGE
        if wanted.get("DBInstanceClass") in {None, each} and wanted.get("LicenseModel") in {None, LICENSE}
    ]
