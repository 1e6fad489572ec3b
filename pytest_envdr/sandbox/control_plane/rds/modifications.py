"""ModifyDBInstance: what takes effect at once, what waits for the maintenance window, and what that takes.

API Reference, ModifyDBInstance; User Guide, Overview.DBInstance.Modifying. There is no maintenance window in the
sandbox: what waits for it stays in PendingModifiedValues until a request with ApplyImmediately.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from moto.rds.exceptions import (
    DBInstanceAlreadyExists,
    InvalidParameterCombination,
    InvalidParameterValue,
    RDSClientError,
)

from pytest_envdr.sandbox.control_plane.rds import events, networks, quotas, statuses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_envdr.sandbox.control_plane.rds.backend import SandboxRDS
    from pytest_envdr.sandbox.control_plane.rds.instance import Instance
    from pytest_envdr.sandbox.world import World

NOTICED_SECONDS = 5.0
"""AWS seconds for which an instance is still `available` after it was told to be modified."""
MODIFYING_SECONDS = 30.0
"""AWS seconds that a modification takes at least."""
WAITING = {
    "allocated_storage": "AllocatedStorage",
    "backup_retention_period": "BackupRetentionPeriod",
    "ca_certificate_identifier": "CACertificateIdentifier",
    "db_instance_class": "DBInstanceClass",
    "iops": "Iops",
    "license_model": "LicenseModel",
    "multi_az": "MultiAZ",
    "new_db_instance_identifier": "DBInstanceIdentifier",
    "storage_throughput": "StorageThroughput",
    "storage_type": "StorageType",
}
"""What waits unless it is to be applied immediately, and its name in PendingModifiedValues."""
NOT_HERE = ("manage_master_user_password", "rotate_master_user_password", "db_port_number", "domain", "engine")
MODIFIABLE = statuses.SERVING | {statuses.STOPPED, statuses.INCOMPATIBLE_PARAMETERS}
LONGEST_RETENTION = 35


def request(backend: SandboxRDS, instance: Instance, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Record what waits or takes its time; what remains is to be set at once.

    Raises:
        RDSClientError: InvalidDBInstanceState, or for what cannot be.
    """
    for name in NOT_HERE:
        if wanted.get(name):
            raise NotImplementedError(name)
    if instance.status not in MODIFIABLE:
        raise RDSClientError("InvalidDBInstanceState", "Database instance is not in available state.")
    _check(backend, instance, wanted)
    at_once = {name: value for name, value in wanted.items() if name not in WAITING}
    for name in WAITING.keys() & wanted.keys():
        if _waits(instance, name, wanted[name]):
            instance.pending[name] = wanted[name]
        else:
            at_once[name] = wanted[name]
            instance.pending.pop(name, None)
    if _true(wanted.get("apply_immediately")) and instance.pending and instance.modify_at is None and backend.world:
        instance.modify_at = time.monotonic() + backend.world.taken(NOTICED_SECONDS)
    at_once.pop("apply_immediately", None)
    return at_once


def step(backend: SandboxRDS, world: World, instance: Instance) -> None:
    """Carry a modification on that is to be applied immediately."""
    now = time.monotonic()
    if instance.modify_at is None or now < instance.modify_at:
        return
    if instance.status == statuses.AVAILABLE:
        renamed = "new_db_instance_identifier" in instance.pending
        instance.status = statuses.RENAMING if renamed else statuses.MODIFYING
        instance.modify_at = now + world.taken(MODIFYING_SECONDS)
    elif instance.status in {statuses.MODIFYING, statuses.RENAMING}:
        instance.modify_at = None
        _apply(backend, instance)
        instance.status = statuses.AVAILABLE


def pending_values(instance: Instance) -> dict[str, Any]:
    """PendingModifiedValues."""
    values = {WAITING[name]: value for name, value in instance.pending.items()}
    return values | ({"MasterUserPassword": "****"} if instance.new_password else {})


def _waits(instance: Instance, name: str, value: Any) -> bool:
    if name == "backup_retention_period":
        # From one period to another is at once; on and off is not.
        return bool(value) != bool(instance.backup_retention_period)
    current = instance.db_instance_identifier if name == "new_db_instance_identifier" else getattr(instance, name, None)
    return bool(value != current)


def _check(backend: SandboxRDS, instance: Instance, wanted: Mapping[str, Any]) -> None:
    retention = wanted.get("backup_retention_period")
    if retention is not None and not 0 <= int(retention) <= LONGEST_RETENTION:
        raise InvalidParameterValue(f"Invalid backup retention period: {retention}. Must be between 0 and 35.")
    storage = int(wanted.get("allocated_storage") or instance.allocated_storage)
    if storage < instance.allocated_storage:
        raise InvalidParameterCombination("Invalid storage size: storage cannot be reduced.")
    quotas.check_storage(backend, storage - instance.allocated_storage)
    name = wanted.get("new_db_instance_identifier")
    if name:
        backend._validate_db_identifier(name)
        if name.lower() != instance.db_instance_identifier and name in backend.databases:
            raise DBInstanceAlreadyExists
    if wanted.get("vpc_security_group_ids"):
        group = getattr(instance, "db_subnet_group", None)
        networks.check_groups(backend, wanted["vpc_security_group_ids"], group.vpc_id if group else None)


def _apply(backend: SandboxRDS, instance: Instance) -> None:
    pending, instance.pending = instance.pending, {}
    name = pending.pop("new_db_instance_identifier", None)
    if "backup_retention_period" in pending:
        event = events.BACKUPS_ENABLED if pending["backup_retention_period"] else events.BACKUPS_DISABLED
        backend.add_event(event, instance)
    if "db_instance_class" in pending:
        backend.add_event(events.CLASS_CHANGED, instance)
    instance.update(**pending)
    if name and name.lower() != instance.db_instance_identifier:
        del backend.databases[instance.db_instance_identifier]
        instance.db_instance_identifier = name
        backend.databases[name] = instance


def _true(value: Any) -> bool:
    return str(value).lower() == "true"
