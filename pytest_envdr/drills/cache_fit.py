"""The cache that a queue is in, before anything is touched: whether it can be broken so, and what of others is in it.

Whatever is in a cache that restarts is gone. Jobs of others are looked for in all three places that the queue has
there, and lost only where that was approved. Of everything else (sessions, cached values, locks) the number of entries
is told, by database: those that expire were never promised to stay; those that never expire are a warning. What stands
in them nobody looks at.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from pytest_envdr import jobs
from pytest_envdr.aws import elasticache
from pytest_envdr.drills import Finding
from pytest_envdr.errors import Refused
from pytest_envdr.waiting import pause

if TYPE_CHECKING:
    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.queues import Case
    from pytest_envdr.ledger import QueueState

__all__ = ["Place", "check_failover", "check_jobs_of_others", "check_place", "check_reboot"]

PLACES = ("pending", "delayed", "reserved")
READINGS, READING_SECONDS = 3, 0.3
"""How often jobs are counted: one that ends between two countings is nobody's loss."""
TESTS_A_DAY = 15
"""AWS's limit on TestFailover, for all groups of an account in one Region together."""
DAY = timedelta(hours=24)
SKEW = timedelta(minutes=1)
LOSE = "lose_queue"
"""What an approval must allow where jobs of others would be lost."""


@dataclass(frozen=True)
class Place:
    """The cache: its primary node, and the replication group that this is a member of; None for a node of its own."""

    cluster: elasticache.Cluster
    group: elasticache.Group | None

    @property
    def name(self) -> str:
        return self.group.identifier if self.group else self.cluster.identifier

    @property
    def members(self) -> tuple[str, ...]:
        """The cluster ids of all its nodes."""
        return self.group.clusters if self.group else (self.cluster.identifier,)


def check_reboot(aws: Aws, drill: Drill, case: Case) -> Place:
    """The cache that shall restart.

    Raises:
        Refused: there is none, it is not available, or jobs of others would be lost with it.
    """
    place = check_place(aws, drill)
    _tell(aws, drill, place, case.queue)
    check_jobs_of_others(aws, drill, case, place)
    return place


def check_failover(aws: Aws, drill: Drill, case: Case) -> Place:
    """The cache whose primary shall fail.

    Raises:
        Refused: as `check_reboot`; and where nobody would take over, or AWS would not do it again today.
    """
    place = check_place(aws, drill)
    if place.group is None:
        raise Refused(_nobody(place.name, "a single node: there is no replica to take over"))
    if not place.group.fails_over:
        state = f"automatic failover is {place.group.automatic_failover}, and it has {len(place.members)} nodes"
        raise Refused(_nobody(place.name, state))
    now = drill.clock.at(drill.clock.monotonic())
    tests = elasticache.failover_tests(aws, since=now - DAY, until=now + SKEW)
    if len(tests) >= TESTS_A_DAY:
        free = min(event.at for event in tests) + DAY
        raise Refused(
            f"Nothing was touched: failovers were tested {len(tests)} times in the last 24 hours, and AWS allows "
            f"{TESTS_A_DAY}.\nTo go on: wait until {free:%Y-%m-%d %H:%M} UTC."
        )
    _tell(aws, drill, place, case.queue)
    check_jobs_of_others(aws, drill, case, place)
    return place


def check_place(aws: Aws, drill: Drill) -> Place:
    """The cache that the stack file names, available.

    Raises:
        Refused: it names none, or one that is not there, or not available.
    """
    name = jobs.row(aws.stack).cache
    if not name:
        raise Refused(
            "Nothing was touched: the stack file does not say which cache the queue is in.\n"
            f"Looked at: {aws.stack.path}\n"
            "To go on: name a replication group or a cluster as `cache` in [queue]."
        )
    group = elasticache.existing_group(aws, name)
    if group is None:
        return _single(aws, name)
    if not group.available:
        raise Refused(f"Nothing was touched: replication group {name} is {group.status}.")
    if len(group.shards) != 1 or group.shards[0].primary is None:
        raise Refused(f"Nothing was touched: replication group {name} is sharded, and Laravel's queue is in one shard.")
    primary = elasticache.cluster(aws, group.shards[0].primary.cluster)
    if not primary.available:
        raise Refused(f"Nothing was touched: {primary.identifier}, the primary of {name}, is {primary.status}.")
    drill.note(f"{name}: {primary.identifier} is its primary, {len(group.clusters) - 1} replicas")
    return Place(primary, group)


def check_jobs_of_others(aws: Aws, drill: Drill, case: Case, place: Place) -> None:
    """Jobs in the queue that are not the drill's.

    Raises:
        Refused: there are some, and their loss was not approved.
    """
    count = _of_others(aws, case)
    if not count:
        return
    if LOSE in aws.stack.approvals["worker_queue_recovery"].allows:
        remedy = "Whose they are nobody looked at: ask who dispatched them whether they can be made again."
        drill.finding(Finding("cache.jobs-of-others", "warning", f"{count} jobs of others may be lost", "", remedy))
        return
    raise Refused(
        f"{place.name} was not touched: {count} jobs in the queue are not this drill's, and would be lost with it.\n"
        f"To go on: wait until the queue is empty, or let who approves it add   "
        f'[approvals.worker_queue_recovery]   allows = ["reboot", "{LOSE}"]'
    )


def _single(aws: Aws, name: str) -> Place:
    found = elasticache.existing(aws, name)
    if found is None:
        raise Refused(
            f"Nothing was touched: ElastiCache has no replication group and no cluster {name}.\n"
            f"Looked at: {aws.stack.path}: queue.cache"
        )
    if found.group:
        raise Refused(f"Nothing was touched: {name} is a node of {found.group}.\nTo go on: name that in [queue].")
    if not found.available:
        raise Refused(f"Nothing was touched: cache cluster {name} is {found.status}.")
    return Place(found, None)


def _nobody(name: str, why: str) -> str:
    return (
        f"Nothing was touched: {name} cannot fail over: {why}.\n"
        "To go on: have a replica and automatic failover; the variant 'cache rebooted' needs neither."
    )


def _of_others(aws: Aws, case: Case) -> int:
    """How many there were in each of some readings."""
    least = None
    for number in range(READINGS):
        if number:
            pause(READING_SECONDS)
        queue = jobs.page(aws.stack, case.exercise).queue
        count = max(sum(queue.counts.get(place, 0) for place in PLACES) - len(queue.queued), 0)
        least = count if least is None else min(least, count)
    return least or 0


def _tell(aws: Aws, drill: Drill, place: Place, queue: QueueState) -> None:
    """Whether it keeps anything, and how much else is in it."""
    said = elasticache.parameters(aws, place.cluster.parameter_group)
    kept = "an append-only file" if said.append_only else "nothing of what it holds"
    drill.note(f"{place.name} keeps {kept} when it restarts; maxmemory-policy {said.eviction or 'unknown'}")
    entries = _entries(queue)
    lasting = sum(keys - expiring for keys, expiring in entries.values())
    rows = [(name, keys, expiring) for name, (keys, expiring) in entries.items()]
    caption = (
        "Those that expire (sessions, cached values, locks) are not promised to stay. Nobody looked at their content."
    )
    drill.table(f"What else is in {place.name}", ("database", "entries", "that expire"), rows, caption=caption)
    # One list of the queue's own may be left, that workers are woken by.
    if lasting > 1 + sum(bool(queue.counts.get(word)) for word in PLACES):
        title = f"{place.name} holds {lasting} entries that never expire, the queue's own among them"
        remedy = "Keep in a cache only what can be computed again; have another one for queues."
        drill.finding(Finding("cache.entries", "warning", title, "they may be lost with it", remedy))


def _entries(queue: QueueState) -> dict[str, tuple[int, int]]:
    """Database to its entries, and those of them that expire; INFO says "keys=3,expires=1,avg_ttl=0"."""
    said: dict[str, str] = queue.cache.get("keyspace") or {}
    found = {}
    for name, text in sorted(said.items()):
        words = dict(word.split("=", 1) for word in str(text).split(",") if "=" in word)
        found[name] = (int(words.get("keys", 0)), int(words.get("expires", 0)))
    return found
