"""A database instance's restore metadata, in AWS Backup's names, and what RDS calls them.

Source: AWS Backup developer guide, "Restoring an Amazon RDS database", whose names are those of
RestoreDBInstanceFromDBSnapshot; every value is a string, lists and flags in JSON.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.control_plane.backup.errors import InvalidParameterValueException

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from moto.rds.models import DBInstance


def _flag(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError(text)
    return text.lower() == "true"


def _strings(text: str) -> list[str]:
    """A JSON array of strings; a bare one counts as one."""
    value = json.loads(text) if text.startswith("[") else text.split(",")
    return [str(one) for one in value if one]


READ: dict[str, tuple[str, Callable[[str], Any]]] = {
    "DBInstanceIdentifier": ("db_instance_identifier", str),
    "DBInstanceClass": ("db_instance_class", str),
    "DBSubnetGroupName": ("db_subnet_group_name", str),
    "DBParameterGroupName": ("db_parameter_group_name", str),
    "OptionGroupName": ("option_group_name", str),
    "VpcSecurityGroupIds": ("vpc_security_group_ids", _strings),
    "AvailabilityZone": ("availability_zone", str),
    "MultiAZ": ("multi_az", _flag),
    "PubliclyAccessible": ("publicly_accessible", _flag),
    "Port": ("port", int),
    "AllocatedStorage": ("allocated_storage", int),
    "StorageType": ("storage_type", str),
    "Iops": ("iops", int),
    "StorageThroughput": ("storage_throughput", int),
    "AutoMinorVersionUpgrade": ("auto_minor_version_upgrade", _flag),
    "CopyTagsToSnapshot": ("copy_tags_to_snapshot", _flag),
    "DeletionProtection": ("deletion_protection", _flag),
    "EnableIAMDatabaseAuthentication": ("enable_iam_database_authentication", _flag),
    "EnableCloudwatchLogsExports": ("enable_cloudwatch_logs_exports", _strings),
    "BackupRetentionPeriod": ("backup_retention_period", int),
    "CACertificateIdentifier": ("ca_certificate_identifier", str),
    "LicenseModel": ("license_model", str),
    "Engine": ("engine", str),
}
"""A key of the metadata -> the parameter of RDS in snake case, and how its value is read."""
KEPT = frozenset({"DBName", "DBSnapshotIdentifier", "NetworkType", "ProcessorFeatures", "UseDefaultProcessorFeatures"})
"""Keys that are given, and taken back without an effect."""
OF_THE_REGION = frozenset(
    {"AvailabilityZone", "DBParameterGroupName", "DBSubnetGroupName", "OptionGroupName", "VpcSecurityGroupIds"}
)
"""Keys whose values mean something in the source's Region only."""
KEYS = {name.lower(): name for name in (*READ, *KEPT)}
DEFAULT_GROUP = "default:"
"""How RDS's own option groups begin: what an instance gets that is told nothing."""


def describe(instance: DBInstance, snapshot: str) -> dict[str, str]:
    """What GetRecoveryPointRestoreMetadata gives."""
    values = {
        "AllocatedStorage": instance.allocated_storage,
        "AutoMinorVersionUpgrade": instance.auto_minor_version_upgrade,
        "AvailabilityZone": instance.availability_zone,
        "CopyTagsToSnapshot": instance.copy_tags_to_snapshot,
        "DBInstanceClass": instance.db_instance_class,
        "DBInstanceIdentifier": instance.db_instance_identifier,
        "DBName": instance.db_name,
        "DBParameterGroupName": instance.db_parameter_groups()[0].name,
        "DBSnapshotIdentifier": snapshot,
        "DBSubnetGroupName": getattr(getattr(instance, "db_subnet_group", None), "name", None),
        "DeletionProtection": instance.deletion_protection,
        "EnableCloudwatchLogsExports": instance.enabled_cloudwatch_logs_exports,
        "EnableIAMDatabaseAuthentication": instance.enable_iam_database_authentication,
        "Engine": instance.engine,
        "Iops": instance.iops,
        "LicenseModel": instance.license_model,
        "MultiAZ": instance.multi_az,
        "OptionGroupName": instance.option_group_name,
        "Port": instance.port,
        "ProcessorFeatures": [],
        "PubliclyAccessible": bool(instance.publicly_accessible),
        "StorageType": instance.storage_type,
        "UseDefaultProcessorFeatures": False,
        "VpcSecurityGroupIds": instance.vpc_security_group_ids,
    }
    return {name: _text(value) for name, value in values.items() if value is not None}


def elsewhere(metadata: Mapping[str, str], snapshot: str) -> dict[str, str]:
    """The same for a copy of the snapshot: what it says of the original's Region is nothing that there is here."""
    kept = {name: value for name, value in metadata.items() if name not in OF_THE_REGION}
    return kept | {"DBSnapshotIdentifier": snapshot}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def parameters(metadata: Mapping[str, str]) -> dict[str, Any]:
    """RDS's parameters, of StartRestoreJob's metadata; the names' case does not count.

    Raises:
        InvalidParameterValueException: a key that there is not, or a value that is none, or no identifier.
    """
    wanted = {}
    for given, text in metadata.items():
        name = KEYS.get(given.lower())
        if name is None:
            raise InvalidParameterValueException(f"Invalid restore metadata. Unrecognized key: {given}")
        if name in READ and text and not text.startswith(DEFAULT_GROUP):
            wanted[READ[name][0]] = _read(name, text)
    if not wanted.get("db_instance_identifier"):
        raise InvalidParameterValueException("DBInstanceIdentifier is required in the restore metadata.")
    return wanted


def _read(name: str, text: str) -> Any:
    try:
        return READ[name][1](text)
    except ValueError as error:
        raise InvalidParameterValueException(f"Invalid restore metadata. {name}: {text}") from error
