"""What moto's responses leave out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from moto.core.responses import ActionResult, EmptyResult, PaginatedResult
from moto.elasticache.responses import ElastiCacheResponse
from typing_extensions import override

from pytest_envdr.sandbox.control_plane.elasticache import events, groups
from pytest_envdr.sandbox.control_plane.extension import backend_lock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_envdr.sandbox.control_plane.elasticache.backend import SandboxElastiCache

PAGE = 100


class SandboxElastiCacheResponse(ElastiCacheResponse):
    """Answers as AWS does: nodes only where they are asked for, members of groups unless they are not wanted."""

    @property
    def sandbox(self) -> SandboxElastiCache:
        return cast("SandboxElastiCache", self.elasticache_backend)

    @override
    def describe_cache_clusters(self) -> ActionResult:
        clusters = self.elasticache_backend.describe_cache_clusters(self._get_param("CacheClusterId"))
        if self._get_bool_param("ShowCacheClustersNotInReplicationGroups"):
            clusters = [cluster for cluster in clusters if not getattr(cluster, "replication_group_id", None)]
        if not self._get_bool_param("ShowCacheNodeInfo"):
            clusters = [SimpleNamespace(**{**vars(cluster), "cache_nodes": None}) for cluster in clusters]  # type: ignore[misc]
        return PaginatedResult({"CacheClusters": clusters})

    def reboot_cache_cluster(self) -> ActionResult:
        """RebootCacheCluster."""
        with backend_lock:
            nodes = self._get_param("CacheNodeIdsToReboot", [])
            return ActionResult(
                {"CacheCluster": self.sandbox.reboot_cache_cluster(self._get_param("CacheClusterId"), nodes)}
            )

    def modify_cache_cluster(self) -> ActionResult:
        """ModifyCacheCluster: the parameter group."""
        asked = self._asked()
        if more := asked.keys() - {"CacheClusterId", "CacheParameterGroupName", "ApplyImmediately"}:
            raise NotImplementedError(f"ModifyCacheCluster with {', '.join(sorted(more))}")
        with backend_lock:
            cluster = self.sandbox.modify_cache_cluster(asked["CacheClusterId"], asked["CacheParameterGroupName"])
            return ActionResult({"CacheCluster": cluster})

    @override
    def modify_replication_group(self) -> ActionResult:
        with backend_lock:
            return ActionResult({"ReplicationGroup": groups.modify(self.sandbox, self._asked())})

    def test_failover(self) -> ActionResult:
        """TestFailover."""
        with backend_lock:
            group = groups.test_failover(
                self.sandbox, self._get_param("ReplicationGroupId"), self._get_param("NodeGroupId")
            )
            return ActionResult({"ReplicationGroup": group})

    def describe_events(self) -> ActionResult:
        """DescribeEvents, in pages."""
        wanted = events.Wanted(
            source=self._get_param("SourceIdentifier"),
            kind=self._get_param("SourceType"),
            begin=self._get_param("StartTime"),
            end=self._get_param("EndTime"),
            minutes=self._get_int_param("Duration"),
        )
        with backend_lock:
            return self._page("Events", events.described(self.sandbox.events, wanted))

    def create_cache_parameter_group(self) -> ActionResult:
        """CreateCacheParameterGroup."""
        with backend_lock:
            group = self.sandbox.parameter_groups.create(
                self._get_param("CacheParameterGroupName"),
                self._get_param("CacheParameterGroupFamily"),
                self._get_param("Description"),
            )
            if tags := self._get_param("Tags", []):
                self.sandbox.tagging_service.tag_resource(group.arn, tags)
            return ActionResult({"CacheParameterGroup": group})

    def describe_cache_parameter_groups(self) -> ActionResult:
        """DescribeCacheParameterGroups, in pages."""
        with backend_lock:
            found = self.sandbox.parameter_groups.described(self._get_param("CacheParameterGroupName"))
            return self._page("CacheParameterGroups", found)

    def describe_cache_parameters(self) -> ActionResult:
        """DescribeCacheParameters, in pages."""
        with backend_lock:
            name, source = self._get_param("CacheParameterGroupName"), self._get_param("Source")
            return self._page("Parameters", self.sandbox.parameter_groups.rows(name, source))

    def modify_cache_parameter_group(self) -> ActionResult:
        """ModifyCacheParameterGroup."""
        name = self._get_param("CacheParameterGroupName")
        with backend_lock:
            rows = self._get_param("ParameterNameValues", [])
            self.sandbox.parameter_groups.set_all(name, rows, multi_az=self._fails_over(name))
            return ActionResult({"CacheParameterGroupName": name})

    def reset_cache_parameter_group(self) -> ActionResult:
        """ResetCacheParameterGroup."""
        name = self._get_param("CacheParameterGroupName")
        with backend_lock:
            rows = None if self._get_bool_param("ResetAllParameters") else self._get_param("ParameterNameValues", [])
            self.sandbox.parameter_groups.reset(name, rows)
            return ActionResult({"CacheParameterGroupName": name})

    def delete_cache_parameter_group(self) -> ActionResult:
        """DeleteCacheParameterGroup."""
        name = self._get_param("CacheParameterGroupName")
        with backend_lock:
            clusters = self.sandbox.cache_clusters.values()
            used = any(cluster.cache_parameter_group_name == name for cluster in clusters)
            self.sandbox.parameter_groups.delete(name, used=used)
            return EmptyResult()

    def delete_cache_subnet_group(self) -> ActionResult:
        """DeleteCacheSubnetGroup."""
        with backend_lock:
            self.sandbox.delete_cache_subnet_group(self._get_param("CacheSubnetGroupName"))
            return EmptyResult()

    def _fails_over(self, parameter_group: str) -> bool:
        return any(
            group.cache_parameter_group_name == parameter_group and group.automatic_failover == groups.ENABLED
            for group in self.sandbox.replication_groups.values()
        )

    def _asked(self) -> dict[str, Any]:
        """The request's parameters, by the API's names."""
        return dict(self._get_params())

    def _page(self, key: str, rows: Sequence[Any]) -> ActionResult:
        """MaxRecords (100 unless said) rows from Marker on, which is how many came before."""
        begin, size = int(self._get_param("Marker") or 0), self._get_int_param("MaxRecords") or PAGE
        more = {"Marker": str(begin + size)} if begin + size < len(rows) else {}
        return ActionResult({key: rows[begin : begin + size], **more})
