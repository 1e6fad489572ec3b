"""ElastiCache: clusters, replication groups and their roles, what their parameter groups say, what was told of them.

What a cache holds cannot be brought back by a call (aws-semantics 6.9): replication is asynchronous, and a node that
restarts is empty unless it keeps an append-only file. So neither act here has an inverse; who acts makes sure first
that what is lost can be made again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pytest_envdr.aws import Act
from pytest_envdr.errors import NotFound
from pytest_envdr.journal import Inverse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Journal

__all__ = [
    "Cluster",
    "Event",
    "Group",
    "Member",
    "Parameters",
    "Shard",
    "SourceKind",
    "cluster",
    "condition",
    "events",
    "existing",
    "existing_group",
    "fail_over",
    "failover_tests",
    "group",
    "parameters",
    "reboot",
]

Endpoint = tuple[str, int]
TESTED = "Test Failover API called"
"""How the event begins that a TestFailover leaves behind."""
SourceKind = Literal["cache-cluster", "replication-group", "cache-parameter-group"]


@dataclass(frozen=True)
class Cluster:
    """A cluster as DescribeCacheClusters gives it: one node of Redis, or several of Memcached.

    Attributes:
        identifier: its name.
        status: "available", "creating", "rebooting cluster nodes", ...
        group: the replication group that it is a member of; "" for none.
        parameter_group: what its variables come from, and `parameter_status` whether they are in effect: "in-sync".
        node_ids: "0001" of Redis.
        endpoints: each node's, in their order; none before there is one.
    """

    identifier: str
    arn: str
    status: str
    engine: str
    engine_version: str
    node_type: str
    group: str
    parameter_group: str
    parameter_status: str
    node_ids: tuple[str, ...]
    endpoints: tuple[Endpoint, ...]
    snapshot_days: int

    @property
    def available(self) -> bool:
        return self.status == "available"

    @property
    def endpoint(self) -> Endpoint | None:
        """Host and port of its only node; None before there is one."""
        return self.endpoints[0] if self.endpoints else None


@dataclass(frozen=True)
class Member:
    """A node of a shard; `role` is "primary" or "replica", and "" where there are several shards."""

    cluster: str
    node: str
    role: str
    zone: str
    endpoint: Endpoint | None


@dataclass(frozen=True)
class Shard:
    """A node group. Its endpoints follow the roles; a client that is connected already does not."""

    identifier: str
    status: str
    primary_endpoint: Endpoint | None
    reader_endpoint: Endpoint | None
    members: tuple[Member, ...]

    @property
    def primary(self) -> Member | None:
        return next((member for member in self.members if member.role == "primary"), None)

    @property
    def replicas(self) -> tuple[Member, ...]:
        return tuple(member for member in self.members if member.role == "replica")


@dataclass(frozen=True)
class Group:
    """A replication group as DescribeReplicationGroups gives it.

    Attributes:
        identifier: its name.
        status: "available", "modifying", ...; a failover is over when it is available again.
        automatic_failover: "enabled", "enabling", ...; so is `multi_az`.
        clusters: its members' cluster ids.
        shards: one, unless it is sharded.
    """

    identifier: str
    arn: str
    status: str
    automatic_failover: str
    multi_az: str
    clusters: tuple[str, ...]
    shards: tuple[Shard, ...]

    @property
    def available(self) -> bool:
        return self.status == "available"

    @property
    def fails_over(self) -> bool:
        """Whether a replica takes over when a primary is lost."""
        return self.automatic_failover == "enabled" and all(len(shard.members) > 1 for shard in self.shards)


@dataclass(frozen=True)
class Parameters:
    """What a parameter group says, with the engine's defaults where it says nothing."""

    group: str
    values: Mapping[str, str]

    @property
    def eviction(self) -> str:
        """maxmemory-policy; "" where the engine has none."""
        return self.values.get("maxmemory-policy", "")

    @property
    def evicts_queues(self) -> bool:
        """Whether keys that never expire, as those of a queue, may be evicted (aws-semantics 6.10)."""
        return self.eviction.startswith("allkeys-")

    @property
    def append_only(self) -> bool:
        """Whether nodes keep an append-only file, from which a restarted one has its data; AWS has it for old engines
        and without Multi-AZ only."""
        return self.values.get("appendonly", "no") == "yes"


@dataclass(frozen=True)
class Event:
    """What ElastiCache told of a source. It has no id, and the order is not guaranteed."""

    at: datetime
    source: str
    message: str


def cluster(aws: Aws, identifier: str) -> Cluster:
    """A cluster as it is.

    Raises:
        NotFound: there is none of that name.
    """
    answer = aws.call(
        "elasticache.DescribeCacheClusters",
        what=f"Cache cluster {identifier} cannot be read",
        CacheClusterId=identifier,
        ShowCacheNodeInfo=True,
    )
    return _cluster_of(answer["CacheClusters"][0])


def existing(aws: Aws, identifier: str) -> Cluster | None:
    """The cluster of that name; None where there is none."""
    try:
        return cluster(aws, identifier)
    except NotFound:
        return None


def group(aws: Aws, identifier: str) -> Group:
    """A replication group as it is.

    Raises:
        NotFound: there is none of that name.
    """
    answer = aws.call(
        "elasticache.DescribeReplicationGroups",
        what=f"Replication group {identifier} cannot be read",
        ReplicationGroupId=identifier,
    )
    return _group_of(answer["ReplicationGroups"][0])


def existing_group(aws: Aws, identifier: str) -> Group | None:
    """The replication group of that name; None where there is none."""
    try:
        return group(aws, identifier)
    except NotFound:
        return None


def condition(aws: Aws, identifier: str) -> str:
    """The state of a replication group with all its nodes, or of a cluster of its own: "available" once everything is,
    for a node may restart in a group that says it is. "" where there is nothing of that name."""
    found = existing_group(aws, identifier)
    if found is None:
        alone = existing(aws, identifier)
        return alone.status if alone else ""
    nodes = {name: cluster(aws, name).status for name in found.clusters}
    unfit = [f"{name} is {status}" for name, status in nodes.items() if status != "available"]
    return ", ".join(unfit) or found.status


def parameters(aws: Aws, parameter_group: str) -> Parameters:
    """What a parameter group says.

    Raises:
        NotFound: there is none of that name.
    """
    rows = aws.pages(
        "elasticache.DescribeCacheParameters",
        "Parameters",
        what=f"The parameters of {parameter_group} cannot be read",
        CacheParameterGroupName=parameter_group,
    )
    values = {row["ParameterName"]: row["ParameterValue"] for row in rows if "ParameterValue" in row}
    return Parameters(parameter_group, values)


def events(aws: Aws, source: str, kind: SourceKind, *, since: datetime, until: datetime) -> list[Event]:
    """What ElastiCache told of a cluster or group, oldest first; AWS keeps 14 days."""
    rows = aws.pages(
        "elasticache.DescribeEvents",
        "Events",
        what=f"The events of {source} cannot be read",
        SourceIdentifier=source,
        SourceType=kind,
        StartTime=since,
        EndTime=until,
    )
    return _events_of(rows)


def failover_tests(aws: Aws, *, since: datetime, until: datetime) -> list[Event]:
    """Each TestFailover of any group of the account in this Region; AWS allows fifteen in 24 hours."""
    rows = aws.pages(
        "elasticache.DescribeEvents",
        "Events",
        what="The events of replication groups cannot be read",
        SourceType="replication-group",
        StartTime=since,
        EndTime=until,
    )
    return [event for event in _events_of(rows) if event.message.startswith(TESTED)]


def reboot(aws: Aws, journal: Journal, target: Cluster) -> None:
    """Reboot a cluster's nodes. Returns at once, with a cluster that is "rebooting cluster nodes".

    A node comes back by itself, so nothing is owed; what it held does not, unless it keeps an append-only file. A
    primary that is rebooted fails over to nobody: it comes back empty, and its replicas become as empty.

    Raises:
        AwsError: InvalidCacheClusterState and others.
    """
    said = {"CacheClusterId": target.identifier, "CacheNodeIdsToReboot": list(target.node_ids)}
    inverse = Inverse.healed(f"cluster {target.identifier} available, which it becomes by itself; not what it held")
    what = f"Cache cluster {target.identifier} cannot be rebooted"
    aws.act(journal, Act("elasticache.RebootCacheCluster", said, inverse, what))


def fail_over(aws: Aws, journal: Journal, target: Group, *, shard: str | None = None) -> None:
    """Have a shard's primary fail, the only one's unless one is named. Returns at once, with a group that is
    "modifying". AWS allows it fifteen times in 24 hours.

    It has no inverse. The group is whole again when the old primary is back as a replica, which ElastiCache sees to;
    the role is ElastiCache's own, and moves with any maintenance. To promote the old primary would take automatic
    failover off meanwhile, interrupt the writers a second time, and lose what was not replicated a second time.

    Raises:
        AwsError: the group has no automatic failover, is not available, or was tested too often.
    """
    named = shard or target.shards[0].identifier
    said = {"ReplicationGroupId": target.identifier, "NodeGroupId": named}
    inverse = Inverse.healed(f"a primary and its replicas in {target.identifier}, which ElastiCache sees to itself")
    what = f"Shard {named} of {target.identifier} cannot fail over"
    aws.act(journal, Act("elasticache.TestFailover", said, inverse, what))


def _events_of(rows: Iterable[Mapping[str, Any]]) -> list[Event]:
    found = [Event(row["Date"], row.get("SourceIdentifier", ""), row.get("Message", "")) for row in rows]
    return sorted(found, key=lambda event: event.at)


def _cluster_of(row: Mapping[str, Any]) -> Cluster:
    parameter_group = row.get("CacheParameterGroup") or {}
    nodes = sorted(row.get("CacheNodes") or [], key=lambda node: node["CacheNodeId"])
    return Cluster(
        identifier=row["CacheClusterId"],
        arn=row.get("ARN", ""),
        status=row.get("CacheClusterStatus", ""),
        engine=row.get("Engine", ""),
        engine_version=row.get("EngineVersion", ""),
        node_type=row.get("CacheNodeType", ""),
        group=row.get("ReplicationGroupId") or "",
        parameter_group=parameter_group.get("CacheParameterGroupName", ""),
        parameter_status=parameter_group.get("ParameterApplyStatus", ""),
        node_ids=tuple(node["CacheNodeId"] for node in nodes),
        endpoints=tuple(found for node in nodes if (found := _endpoint_of(node.get("Endpoint")))),
        snapshot_days=row.get("SnapshotRetentionLimit") or 0,
    )


def _group_of(row: Mapping[str, Any]) -> Group:
    return Group(
        identifier=row["ReplicationGroupId"],
        arn=row.get("ARN", ""),
        status=row.get("Status", ""),
        automatic_failover=row.get("AutomaticFailover", ""),
        multi_az=row.get("MultiAZ", ""),
        clusters=tuple(row.get("MemberClusters") or []),
        shards=tuple(_shard_of(one) for one in row.get("NodeGroups") or []),
    )


def _shard_of(row: Mapping[str, Any]) -> Shard:
    return Shard(
        identifier=row["NodeGroupId"],
        status=row.get("Status", ""),
        primary_endpoint=_endpoint_of(row.get("PrimaryEndpoint")),
        reader_endpoint=_endpoint_of(row.get("ReaderEndpoint")),
        members=tuple(
            Member(
                cluster=one["CacheClusterId"],
                node=one.get("CacheNodeId", ""),
                role=one.get("CurrentRole", ""),
                zone=one.get("PreferredAvailabilityZone", ""),
                endpoint=_endpoint_of(one.get("ReadEndpoint")),
            )
            for one in row.get("NodeGroupMembers") or []
        ),
    )


def _endpoint_of(row: Mapping[str, Any] | None) -> Endpoint | None:
    return (row["Address"], row["Port"]) if row and row.get("Address") else None
