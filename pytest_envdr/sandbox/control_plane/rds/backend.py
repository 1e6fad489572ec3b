"""moto's RDS backend, recording intent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.rds.exceptions import DBInstanceAlreadyExists, InvalidParameterCombination, RDSClientError
from moto.rds.models import DBInstance, RDSBackend

from pytest_envdr.sandbox.control_plane.extension import backend_lock, moto_urls
from pytest_envdr.sandbox.control_plane.rds import (
    automated_backups,
    modifications,
    parameters,
    quotas,
    restores,
    snapshots,
    statuses,
)
from pytest_envdr.sandbox.control_plane.rds.instance import Instance
from pytest_envdr.sandbox.data_plane.mariadb import version

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from moto.rds.models import DBParameterGroup

    from pytest_envdr.sandbox.control_plane.rds.automated_backups import AutomatedBackup
    from pytest_envdr.sandbox.control_plane.rds.instance import Origin
    from pytest_envdr.sandbox.control_plane.rds.snapshots import Snapshot
    from pytest_envdr.sandbox.world import World

ENGINE = "mariadb"
FIRST_HOST = 10
LAST_HOST = 99
SUBNET = 4
"""The world's subnet (data-a), and the host numbers in it, that instances get their addresses from."""


class SandboxRDS(RDSBackend):
    """One account's instances in one Region. `world` is None where no control loop acts.

    Attributes:
        automated_backups: by the instance's resource id, of instances that are there and of those that are gone.
    """

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.world: World | None = None
        self.automated_backups: dict[str, AutomatedBackup] = {}

    @property
    def _url_module(self) -> ModuleType:
        return moto_urls("rds")

    def reset(self) -> None:
        """moto's reset makes the object anew; the world stays, and the control loop ends what is no longer there."""
        world = self.world
        super().reset()
        self.world = world

    def instances(self) -> list[Instance]:
        """All that the control loop cares for."""
        return [instance for instance in self.databases.values() if isinstance(instance, Instance)]

    def create_db_instance(self, db_kwargs: dict[str, Any]) -> DBInstance:
        """Record a MariaDB instance. The control loop starts its server."""
        identifier = db_kwargs["db_instance_identifier"]
        with backend_lock:
            if identifier in self.databases:
                raise DBInstanceAlreadyExists
            _refuse_unsupported(db_kwargs)
            quotas.check_instances(self, int(db_kwargs.get("allocated_storage") or 0))
            settings = {**db_kwargs, "engine_version": _engine_version(db_kwargs.get("engine_version"))}
            return self.add(identifier, settings)

    def add(self, identifier: str, settings: dict[str, Any], *, origin: Origin | None = None) -> Instance:
        """Record an instance of which all is settled but its name and address."""
        self._validate_db_identifier(identifier)
        if self.world is None:
            raise NotImplementedError(f"database instances in {self.region_name}")
        settings = {**settings, "db_instance_identifier": identifier}
        instance = Instance(self, self._free_address(self.world), origin=origin, **settings)  # type: ignore[abstract]
        self.databases[identifier] = instance
        return instance

    def modify_db_instance(self, db_instance_identifier: str, db_kwargs: dict[str, Any]) -> DBInstance:
        with backend_lock:
            instance = self._ours(db_instance_identifier)
            if db_kwargs.get("db_parameter_group_name"):
                parameters.find(self, db_kwargs["db_parameter_group_name"])
            at_once = modifications.request(self, instance, dict(db_kwargs))
            if at_once.get("master_user_password"):
                instance.new_password = at_once["master_user_password"]
            return super().modify_db_instance(db_instance_identifier, at_once)

    def reboot_db_instance(self, db_instance_identifier: str) -> DBInstance:
        with backend_lock:
            instance = self._ours(db_instance_identifier)
            if instance.status != statuses.INCOMPATIBLE_PARAMETERS:
                self._in_state(db_instance_identifier, statuses.AVAILABLE)
            instance.status, instance.reboot_requested = statuses.REBOOTING, True
            return instance

    def stop_db_instance(self, db_instance_identifier: str, db_snapshot_identifier: str | None = None) -> DBInstance:
        if db_snapshot_identifier:
            raise NotImplementedError("a snapshot on stopping")
        with backend_lock:
            instance = self._in_state(db_instance_identifier, statuses.AVAILABLE)
            instance.status = statuses.STOPPING
            return instance

    def start_db_instance(self, db_instance_identifier: str) -> DBInstance:
        with backend_lock:
            instance = self._in_state(db_instance_identifier, statuses.STOPPED)
            instance.status = statuses.STARTING
            return instance

    def delete_db_instance(
        self,
        db_instance_identifier: str,
        final_db_snapshot_identifier: str | None = None,
        skip_final_snapshot: bool | None = False,  # noqa: FBT001, FBT002 (moto's signature)
        delete_automated_backups: bool | None = True,  # noqa: FBT001, FBT002 (moto's signature)
    ) -> DBInstance:
        """Record it; the instance stays, `deleting`, until its final snapshot is made and its server has ended."""
        with backend_lock:
            instance: Any = self.describe_db_instances(db_instance_identifier)[0]
            if instance.status == statuses.DELETING:
                raise _wrong_state(f"Instance {db_instance_identifier} is already being deleted.")
            if instance.deletion_protection:
                raise InvalidParameterCombination(
                    "Cannot delete protected DB Instance, please disable deletion protection and try again."
                )
            if skip_final_snapshot and final_db_snapshot_identifier:
                raise InvalidParameterCombination(
                    "FinalDBSnapshotIdentifier can not be specified when SkipFinalSnapshot is enabled."
                )
            if not delete_automated_backups:
                quotas.check_retained(self)
            if not skip_final_snapshot:
                self._take_final_snapshot(instance, final_db_snapshot_identifier)
            automated_backups.part(self, instance, retain=not delete_automated_backups)
            instance.status = statuses.DELETING
            return instance  # type: ignore[no-any-return]

    def _take_final_snapshot(self, instance: Instance, identifier: str | None) -> None:
        if not identifier:
            raise InvalidParameterCombination(
                "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."
            )
        if instance.status in statuses.BROKEN | {statuses.CREATING}:
            raise _wrong_state(
                f"Cannot create a snapshot because the database instance {instance.db_instance_identifier} "
                "is not currently in the available state."
            )
        snapshots.create(self, instance, identifier)

    def create_db_snapshot(  # type: ignore[override]
        self,
        db_instance_identifier: str,
        db_snapshot_identifier: str,
        snapshot_type: str = snapshots.MANUAL,
        tags: list[dict[str, str]] | None = None,
        **_: Any,
    ) -> Snapshot:
        """Record a snapshot; `.status` is `creating`, then `available` or `failed`, `.snapshot_database_time` its time.

        One of AWS Backup's waits for its turn; a manual one is refused while the instance is not available.
        """
        with backend_lock:
            fit = {statuses.AVAILABLE, statuses.STOPPED}
            if snapshot_type == snapshots.AWS_BACKUP:
                fit |= statuses.SERVING
            instance: Any = self.describe_db_instances(db_instance_identifier)[0]
            if instance.status not in fit:
                raise _wrong_state(
                    f"Cannot create a snapshot because the database instance {db_instance_identifier} "
                    "is not currently in the available state."
                )
            snapshot = snapshots.create(self, instance, db_snapshot_identifier, snapshot_type=snapshot_type, tags=tags)
            if instance.status == statuses.AVAILABLE:
                instance.status = statuses.BACKING_UP
            return snapshot

    def copy_db_snapshot(
        self,
        source_db_snapshot_identifier: str,
        target_db_snapshot_identifier: str,
        kms_key_id: str | None = None,
        tags: list[dict[str, str]] | None = None,
        copy_tags: bool | None = False,  # noqa: FBT001, FBT002 (moto's signature)
        snapshot_type: str = snapshots.MANUAL,
        **_: Any,
    ) -> Snapshot:
        with backend_lock:
            return snapshots.copy(
                self,
                source_db_snapshot_identifier,
                target_db_snapshot_identifier,
                key=kms_key_id,
                tags=tags,
                copy_tags=bool(copy_tags),
                snapshot_type=snapshot_type,
            )

    def delete_db_snapshot(self, db_snapshot_identifier: str) -> Snapshot:
        with backend_lock:
            return snapshots.delete(self, db_snapshot_identifier)

    def describe_db_snapshots(  # type: ignore[override]
        self,
        db_instance_identifier: str | None = None,
        db_snapshot_identifier: str | None = None,
        snapshot_type: str | None = None,
        filters: dict[str, Any] | None = None,
    ) -> list[Snapshot]:
        with backend_lock:
            return snapshots.described(self, db_instance_identifier, db_snapshot_identifier, snapshot_type, filters)

    def restore_db_instance_from_db_snapshot(self, from_snapshot_id: str, overrides: dict[str, Any]) -> Instance:
        """Record an instance restored from a snapshot; `overrides` as the request's parameters, in snake case."""
        with backend_lock:
            return restores.from_snapshot(self, from_snapshot_id, overrides)

    def restore_db_instance_to_point_in_time(
        self, source_db_identifier: str | None, target_db_identifier: str, overrides: dict[str, Any]
    ) -> Instance:
        with backend_lock:
            return restores.to_point_in_time(self, source_db_identifier, target_db_identifier, overrides)

    def create_db_parameter_group(self, db_parameter_group_kwargs: dict[str, Any]) -> DBParameterGroup:
        with backend_lock:
            parameters.check_new(db_parameter_group_kwargs)
            return super().create_db_parameter_group(db_parameter_group_kwargs)

    def copy_db_parameter_group(  # type: ignore[override]
        self, source_db_parameter_group_identifier: str, **more: Any
    ) -> DBParameterGroup:
        with backend_lock:
            name = source_db_parameter_group_identifier.rpartition(":")[2]
            parameters.find(self, name)
            return super().copy_db_parameter_group(name, **more)

    def modify_db_parameter_group(
        self, db_parameter_group_name: str, db_parameter_group_parameters: Iterable[dict[str, Any]]
    ) -> DBParameterGroup:
        wanted = list(db_parameter_group_parameters)
        parameters.check_values(wanted)
        with backend_lock:
            return parameters.set_all(self, db_parameter_group_name, wanted)

    def delete_db_parameter_group(self, db_parameter_group_name: str) -> DBParameterGroup:
        with backend_lock:
            return parameters.delete(self, db_parameter_group_name)

    def create_db_instance_read_replica(self, db_kwargs: dict[str, Any]) -> DBInstance:
        raise NotImplementedError("read replicas")

    def _in_state(self, identifier: str, state: str) -> Instance:
        instance = self._ours(identifier)
        if instance.status != state:
            raise _wrong_state(f"Instance {identifier} is not in {state} state.")
        return instance

    def _ours(self, identifier: str) -> Instance:
        instance = self.describe_db_instances(identifier)[0]
        if not isinstance(instance, Instance):
            raise NotImplementedError(instance.engine)
        return instance

    def _free_address(self, world: World) -> str:
        taken = {instance.host for instance in self.instances()}
        addresses = (world.address(SUBNET, host) for host in range(FIRST_HOST, LAST_HOST + 1))
        free = next((address for address in addresses if address not in taken), None)
        if free is None:
            raise RDSClientError("InstanceQuotaExceeded", "The quota of DB instances would be exceeded.")
        return free


def _refuse_unsupported(wanted: dict[str, Any]) -> None:
    if wanted.get("engine") != ENGINE or wanted.get("db_cluster_identifier"):
        raise NotImplementedError(f"engine {wanted.get('engine')}")
    if wanted.get("manage_master_user_password"):
        raise NotImplementedError("managed master passwords")
    for needed in ("master_username", "master_user_password"):
        if not wanted.get(needed):
            words = "".join(word.capitalize() for word in needed.split("_"))
            raise RDSClientError(
                "InvalidParameterValue", f"The parameter {words} must be provided and must not be blank."
            )


def _engine_version(asked: str | None) -> str:
    """The version that runs: RDS takes a whole version or its beginning, and the newest where none is named."""
    runs = version()
    if asked and not f"{runs}.".startswith(f"{asked}."):
        raise InvalidParameterCombination(f"Cannot find version {asked} for {ENGINE}")
    return runs


def _wrong_state(message: str) -> RDSClientError:
    return RDSClientError("InvalidDBInstanceState", message)
