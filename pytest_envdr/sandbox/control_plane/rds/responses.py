"""RDS's answers where moto's lack an operation or a parameter."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from moto.core.responses import ActionResult
from moto.rds.responses import RDSResponse
from typing_extensions import override

from pytest_envdr.sandbox.control_plane.extension import backend_lock
from pytest_envdr.sandbox.control_plane.rds import automated_backups, events, offers, parameters, quotas, replication

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_envdr.sandbox.control_plane.rds.backend import SandboxRDS

PAGE = 100


class SandboxRDSResponse(RDSResponse):
    """The operations are methods under moto's names for them."""

    @property
    def sandbox(self) -> SandboxRDS:
        return cast("SandboxRDS", self.backend)

    def describe_account_attributes(self) -> ActionResult:
        """DescribeAccountAttributes."""
        with backend_lock:
            return ActionResult({"AccountQuotas": quotas.described(self.sandbox)})

    @override
    def describe_db_snapshots(self) -> ActionResult:
        """DescribeDBSnapshots, with DbiResourceId, in pages."""
        filters = self._filters()
        if resource := self.params.get("DbiResourceId"):
            filters["dbi-resource-id"] = [resource]
        found = self.sandbox.describe_db_snapshots(
            self.params.get("DBInstanceIdentifier"),
            self.params.get("DBSnapshotIdentifier"),
            self.params.get("SnapshotType"),
            filters,
        )
        return self._page("DBSnapshots", found)

    @override
    def describe_events(self) -> ActionResult:
        """DescribeEvents, in pages."""
        with backend_lock:
            return self._page("Events", events.described(self.sandbox.events, self.params, datetime.now(UTC)))

    @override
    def describe_db_instance_automated_backups(self) -> ActionResult:
        """DescribeDBInstanceAutomatedBackups."""
        with backend_lock:
            found = automated_backups.described(
                self.sandbox,
                self.params.get("DBInstanceIdentifier"),
                self.params.get("DbiResourceId"),
                self.params.get("DBInstanceAutomatedBackupsArn"),
                self._filters(),
            )
            return self._page("DBInstanceAutomatedBackups", found)

    def delete_db_instance_automated_backup(self) -> ActionResult:
        """DeleteDBInstanceAutomatedBackup."""
        with backend_lock:
            deleted = automated_backups.delete(
                self.sandbox, self.params.get("DbiResourceId"), self.params.get("DBInstanceAutomatedBackupsArn")
            )
            return ActionResult({"DBInstanceAutomatedBackup": deleted})

    def start_db_instance_automated_backups_replication(self) -> ActionResult:
        """StartDBInstanceAutomatedBackupsReplication."""
        with backend_lock:
            return ActionResult({"DBInstanceAutomatedBackup": replication.start(self.sandbox, self.params)})

    def stop_db_instance_automated_backups_replication(self) -> ActionResult:
        """StopDBInstanceAutomatedBackupsReplication."""
        with backend_lock:
            stopped = replication.stop(self.sandbox, self.params["SourceDBInstanceArn"])
            return ActionResult({"DBInstanceAutomatedBackup": stopped})

    def describe_db_engine_versions(self) -> ActionResult:
        """DescribeDBEngineVersions, in pages."""
        return self._page("DBEngineVersions", offers.versions(self.params))

    @override
    def describe_orderable_db_instance_options(self) -> ActionResult:
        """DescribeOrderableDBInstanceOptions, in pages."""
        return self._page("OrderableDBInstanceOptions", offers.options(self.sandbox, self.params))

    @override
    def describe_db_parameters(self) -> ActionResult:
        """DescribeDBParameters: all of the engine's, in pages."""
        with backend_lock:
            name, source = self.params.get("DBParameterGroupName"), self.params.get("Source")
            return self._page("Parameters", parameters.described(self.sandbox, name, source))

    def reset_db_parameter_group(self) -> ActionResult:
        """ResetDBParameterGroup."""
        with backend_lock:
            every = str(self.params.get("ResetAllParameters", "")).lower() == "true"
            rows = [row.original_dict() for row in self.params.get("Parameters", [])]
            group = parameters.reset(self.sandbox, self.params.get("DBParameterGroupName"), None if every else rows)
            return ActionResult({"DBParameterGroupName": group.name})

    def _page(self, key: str, rows: Sequence[Any]) -> ActionResult:
        """MaxRecords (100 unless said) rows from Marker on, which is how many came before."""
        begin, size = int(self.params.get("Marker") or 0), int(self.params.get("MaxRecords") or PAGE)
        more = {"Marker": str(begin + size)} if begin + size < len(rows) else {}
        return ActionResult({key: rows[begin : begin + size], **more})

    def _filters(self) -> dict[str, list[str]]:
        return {row["Name"]: list(row["Values"]) for row in self.params.get("Filters", [])}
