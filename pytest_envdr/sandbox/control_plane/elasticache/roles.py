"""Who of a replication group's nodes is its primary, and how that changes.

User Guide: AutoFailover, FaultTolerance. With automatic failover the replica that has most of a lost primary's writes
takes over, and the lost node comes back as a replica. Without, the primary comes back by itself and gets what it held
from a replica; where there is none it is empty. Replication is asynchronous: what no replica had is lost. A reboot that
somebody asked for is no loss of the primary: it comes back empty, and its replicas become as empty.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.elasticache import events

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_envdr.sandbox.control_plane.elasticache.node import Node
    from pytest_envdr.sandbox.world import World

FAILOVER_SECONDS = 15.0
"""AWS seconds from a primary's loss to the choice of the next one."""


@dataclass
class Shard:
    """A group's node group, as the API and the control loop share it.

    Attributes:
        identifier: its NodeGroupId.
        group: the replication group's id.
        primary: the cluster id of the node that has the role.
        primary_address: the primary endpoint.
        reader_address: the reader endpoint.
        promoted: whom a request wants to be the primary.
        tested: a request wants the primary to fail.
        busy: the role is being changed.
    """

    identifier: str
    group: str
    primary: str
    primary_address: str
    reader_address: str
    promoted: str | None = None
    tested: bool = False
    busy: bool = False


class Roles:
    """One shard's roles. For the control loop: `step` never waits."""

    def __init__(self, world: World, shard: Shard) -> None:
        self.shard = shard
        self._world = world
        self._heir: str | None = None
        self._source: str | None = None
        self._reader: str | None = None
        self._lost_since: float | None = None
        self._served = False
        self._nodes: Mapping[str, Node] = {}

    def step(self, nodes: Mapping[str, Node], *, automatic: bool) -> list[events.Event]:
        """Look how a group's nodes are (by cluster id), and decide. What there is to tell of it."""
        self._nodes = nodes
        told: list[events.Event] = []
        primary = nodes.get(self.shard.primary)
        self._take_requests(primary)
        if self._heir:
            told = self._succeed()
        elif self._source:
            self._restore()
        elif primary and self._is_lost(primary):
            self._replace(automatic=automatic)
        elif primary and primary.up:
            self._served = True
        self._choose_reader()
        self.shard.busy = bool(self._heir or self._source or self._lost_since)
        return told

    def held(self, cluster_id: str) -> bool:
        """Whether a lost node is not to come back before another one is the primary."""
        return cluster_id == self.shard.primary and self._lost_since is not None and self._source is None

    def master(self, cluster_id: str) -> str | None:
        """The address of the node that this one shall replicate; None for a primary."""
        leader = self._source or self.shard.primary
        if self._heir and self._heir_leads(self._heir, cluster_id):
            leader = self._heir
        return None if cluster_id == leader or leader not in self._nodes else self._nodes[leader].address

    def endpoints(self, cluster_id: str) -> tuple[str, ...]:
        """The endpoints that shall lead to this node, as far as no other node listens there any more."""
        return tuple(address for address in self._wanted(cluster_id) if self._is_free(address, cluster_id))

    def settled(self, *, reader: bool) -> bool:
        """Whether each endpoint leads to the node that it shall lead to by now; the reader endpoint only if asked."""
        self._choose_reader()
        endpoints = {self.shard.primary_address} | ({self.shard.reader_address} if reader else set())
        wanted = [(name, address) for name in self._nodes for address in self._wanted(name) if address in endpoints]
        return bool(self._nodes) and all(self._listens(name, address) for name, address in wanted)

    def _take_requests(self, primary: Node | None) -> None:
        if self.shard.tested and primary:
            self.shard.tested = False
            primary.server.kill()
            self._lost_since = time.monotonic()
        if self.shard.promoted:
            self._heir, self.shard.promoted = self.shard.promoted, None

    def _wanted(self, cluster_id: str) -> list[str]:
        leader = self._heir or self.shard.primary
        wanted = []
        if cluster_id == leader and not self._source:
            wanted.append(self.shard.primary_address)
        if cluster_id == (self._reader or leader):
            wanted.append(self.shard.reader_address)
        return wanted

    def _is_lost(self, primary: Node) -> bool:
        return self._lost_since is not None or (self._served and not primary.up and not primary.rebooting)

    def _replace(self, *, automatic: bool) -> None:
        now = time.monotonic()
        self._lost_since = lost = self._lost_since or now
        living = {name: node for name, node in self._replicas().items() if node.up}
        if automatic and living:
            if now - lost < self._world.scaled(FAILOVER_SECONDS):
                return
            # How far each is, asked after the loss: until then more of the primary's writes may come in.
            fresh = {name: node for name, node in living.items() if node.report and node.report.at > lost}
            self._heir = _furthest(fresh)
        elif living:
            self._source = _furthest(living)
        else:
            self._lost_since, self._served = None, False

    def _succeed(self) -> list[events.Event]:
        """The heir has taken over when it takes writes at the primary endpoint."""
        heir, old = self._heir or "", self.shard.primary
        node = self._nodes.get(heir)
        if node is None or not node.up:
            self._heir = None
            return []
        settings = node.settings
        if settings is None or settings.master or self.shard.primary_address not in settings.addresses:
            return []
        self.shard.primary, self._heir, self._lost_since, self._served = heir, None, None, True
        message = events.FAILED_OVER.format(old=old, new=heir)
        return [
            events.told(heir, events.CLUSTER, message),
            events.told(self.shard.group, events.GROUP, message),
        ]

    def _restore(self) -> None:
        """The primary is itself again when it has what its replica had, or when that is gone too."""
        source, primary = self._nodes.get(self._source or ""), self._nodes.get(self.shard.primary)
        if source is None or not source.up:
            self._source, self._lost_since, self._served = None, None, False
        elif primary and primary.synced and primary.report and primary.report.master == source.address:
            self._source, self._lost_since = None, None

    def _heir_leads(self, heir: str, cluster_id: str) -> bool:
        """The others follow an heir once it is a primary."""
        node = self._nodes.get(heir)
        return node is not None and (cluster_id == heir or bool(node.settings and node.settings.master is None))

    def _choose_reader(self) -> None:
        """One of the replicas that have everything; the same one as long as it has."""
        fit = [name for name, node in self._replicas().items() if node.synced and name != self._heir]
        if self._reader not in fit:
            self._reader = fit[0] if fit else None

    def _replicas(self) -> dict[str, Node]:
        return {name: node for name, node in self._nodes.items() if name != self.shard.primary}

    def _listens(self, cluster_id: str, address: str) -> bool:
        settings = self._nodes[cluster_id].settings
        return settings is not None and address in settings.addresses

    def _is_free(self, address: str, cluster_id: str) -> bool:
        others = (node.settings for name, node in self._nodes.items() if name != cluster_id)
        return all(settings is None or address not in settings.addresses for settings in others)


def _furthest(nodes: Mapping[str, Node]) -> str | None:
    """Who has most of the primary's writes; None of nobody."""
    offsets = {name: node.report.offset if node.report else -1 for name, node in nodes.items()}
    return max(offsets, key=lambda name: offsets[name], default=None)
