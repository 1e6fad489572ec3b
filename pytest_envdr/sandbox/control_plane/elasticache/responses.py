"""What moto's responses leave out."""

from __future__ import annotations

from types import SimpleNamespace

from moto.core.responses import ActionResult, PaginatedResult
from moto.elasticache.responses import ElastiCacheResponse


class SandboxElastiCacheResponse(ElastiCacheResponse):
    """Answers as AWS does: nodes only where they are asked for, members of groups unless they are not wanted."""

    def describe_cache_clusters(self) -> ActionResult:
        clusters = self.elasticache_backend.describe_cache_clusters(self._get_param("CacheClusterId"))
        if self._get_bool_param("ShowCacheClustersNotInReplicationGroups"):
            clusters = [cluster for cluster in clusters if not getattr(cluster, "replication_group_id", None)]
        if not self._get_bool_param("ShowCacheNodeInfo"):
            clusters = [SimpleNamespace(**{**vars(cluster), "cache_nodes": None}) for cluster in clusters]  # type: ignore[misc]
        return PaginatedResult({"CacheClusters": clusters})
