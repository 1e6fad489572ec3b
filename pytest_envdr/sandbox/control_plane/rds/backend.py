"""moto's RDS backend, recording intent."""

from __future__ import annotations

import secrets
import string
from typing import TYPE_CHECKING, Any

from moto.rds.exceptions import DBInstanceAlreadyExists, InvalidParameterCombination, RDSClientError
from moto.rds.models import DBInstance, RDSBackend

from pytest_envdr.sandbox.control_plane.extension import backend_lock, moto_urls
from pytest_envdr.sandbox.data_plane.mariadb import version

if TYPE_CHECKING:
    from types import ModuleType

    from moto.rds.models import DBSnapshot

    from pytest_envdr.sandbox.world import World

ENGINE = "mariadb"
FIRST_HOST = 10
LAST_HOST = 99
SUBNET = 4
"""The world's subnet (data-a), and the host numbers in it, that instances get their addresses from."""


class Instance(DBInstance):
    """An instance as the API shows it.

    Attributes:
        host: the address of its server, shown as the endpoint once it is reachable.
        reachable: whether it has been up.
        reboot_requested: RebootDBInstance was called, and the control loop has not acted on it.
        new_password: a master password that the control loop has not set.
    """

    def __init__(self, backend: SandboxRDS, host: str, **kwargs: Any) -> None:
        super().__init__(backend, **kwargs)
        self.host = host
        self.dbi_resource_id = "db-" + "".join(secrets.choice(string.ascii_uppercase + "234567") for _ in range(26))
        self.status = "creating"
        self.reachable = False
        self.reboot_requested = False
        self.new_password: str | None = None

    @property
    def address(self) -> str:
        return self.host

    @property
    def endpoint(self) -> dict[str, Any] | None:  # type: ignore[override]
        """RDS shows none before there is one."""
        return {"Address": self.host, "Port": self.port} if self.reachable else None

    @property
    def latest_restorable_time(self) -> None:  # type: ignore[override]
        """There is none, since nothing is backed up."""
        return

    @property
    def password(self) -> str:
        """The master user's password as it was last asked for."""
        return self._master_user_password or ""


class SandboxRDS(RDSBackend):
    """One account's instances in one Region. `world` is None where no control loop acts."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.world: World | None = None

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
        if identifier in self.databases:
            raise DBInstanceAlreadyExists
        self._validate_db_identifier(identifier)
        _refuse_unsupported(db_kwargs)
        if self.world is None:
            raise NotImplementedError(f"database instances in {self.region_name}")
        with backend_lock:
            wanted = {**db_kwargs, "engine_version": _engine_version(db_kwargs.get("engine_version"))}
            instance = Instance(self, self._free_address(self.world), **wanted)  # type: ignore[abstract]
            self.databases[identifier] = instance
        return instance

    def modify_db_instance(self, db_instance_identifier: str, db_kwargs: dict[str, Any]) -> DBInstance:
        with backend_lock:
            instance = super().modify_db_instance(db_instance_identifier, db_kwargs)
            if isinstance(instance, Instance) and db_kwargs.get("master_user_password"):
                instance.new_password = db_kwargs["master_user_password"]
            return instance

    def reboot_db_instance(self, db_instance_identifier: str) -> DBInstance:
        with backend_lock:
            instance = self._in_state(db_instance_identifier, "available")
            instance.status, instance.reboot_requested = "rebooting", True
            return instance

    def stop_db_instance(self, db_instance_identifier: str, db_snapshot_identifier: str | None = None) -> DBInstance:
        if db_snapshot_identifier:
            raise NotImplementedError("snapshots")
        with backend_lock:
            instance = self._in_state(db_instance_identifier, "available")
            instance.status = "stopping"
            return instance

    def start_db_instance(self, db_instance_identifier: str) -> DBInstance:
        with backend_lock:
            instance = self._in_state(db_instance_identifier, "stopped")
            instance.status = "starting"
            return instance

    def delete_db_instance(
        self,
        db_instance_identifier: str,
        final_db_snapshot_identifier: str | None = None,
        skip_final_snapshot: bool | None = False,  # noqa: FBT001, FBT002 (moto's signature)
        delete_automated_backups: bool | None = True,  # noqa: FBT001, FBT002, ARG002 (moto's signature)
    ) -> DBInstance:
        """Record it; the instance stays, `deleting`, until its server has ended."""
        with backend_lock:
            instance: Any = self.describe_db_instances(db_instance_identifier)[0]
            if instance.status == "deleting":
                raise _wrong_state(f"Instance {db_instance_identifier} is already being deleted.")
            if instance.deletion_protection:
                raise InvalidParameterCombination(
                    "Cannot delete protected DB Instance, please disable deletion protection and try again."
                )
            if not skip_final_snapshot:
                _refuse_final_snapshot(final_db_snapshot_identifier)
            instance.status = "deleting"
            return instance  # type: ignore[no-any-return]

    def create_db_snapshot(self, *args: Any, **kwargs: Any) -> DBSnapshot:
        raise NotImplementedError("snapshots")

    def restore_db_instance_from_db_snapshot(self, *args: Any, **kwargs: Any) -> DBInstance:
        raise NotImplementedError("restores")

    def restore_db_instance_to_point_in_time(self, *args: Any, **kwargs: Any) -> DBInstance:
        raise NotImplementedError("restores")

    def create_db_instance_read_replica(self, db_kwargs: dict[str, Any]) -> DBInstance:
        raise NotImplementedError("read replicas")

    def _in_state(self, identifier: str, state: str) -> Instance:
        instance = self.describe_db_instances(identifier)[0]
        if not isinstance(instance, Instance):
            raise NotImplementedError(instance.engine)
        if instance.status != state:
            raise _wrong_state(f"Instance {identifier} is not in {state} state.")
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


def _refuse_final_snapshot(identifier: str | None) -> None:
    if identifier is None:
        raise InvalidParameterCombination(
            "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."
        )
    raise NotImplementedError("snapshots")


def _engine_version(asked: str | None) -> str:
    """The version that runs: RDS takes a whole version or its beginning, and the newest where none is named."""
    runs = version()
    if asked and not f"{runs}.".startswith(f"{asked}."):
        raise InvalidParameterCombination(f"Cannot find version {asked} for {ENGINE}")
    return runs


def _wrong_state(message: str) -> RDSClientError:
    return RDSClientError("InvalidDBInstanceState", message)
