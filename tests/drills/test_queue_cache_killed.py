"""A drill that breaks the queue's cache ends at any step: `envdr undo` waits until the cache is back, and leaves no job
of the drill in any queue. What the cache held of others is lost with it, which is why a drill asks before."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr import stack
from pytest_envdr.aws import Aws
from pytest_envdr.waiting import wait_until
from tests.drills import runs
from tests.drills.queue_rig import Hand
from tests.drills.stranger import PATIENCE
from tests.drills.test_queue_killed import DISPATCH, MOMENTS, RUN, Death, brought_back, check_brought_back

if TYPE_CHECKING:
    from pathlib import Path

GROUP = "envelope-prod-redis"
FAULTS = {"cache rebooted": "elasticache.RebootCacheCluster", "cache failed over": "elasticache.TestFailover"}
AROUND = ("answered", "intended", "before", "settled")
REBOOTED = [
    *(f"{moment} {FAULTS['cache rebooted']} 1" for moment in AROUND),
    *(f"{moment} {RUN} {turn}" for turn in (1, 2, 3, 4, 5) for moment in MOMENTS),
    *(f"{moment} {DISPATCH} 1" for moment in MOMENTS if moment != "answered"),
    *(f"{moment} {DISPATCH} 1" for moment in ("reversing", "reversed", "closed")),
]
"""RunTask lists what has failed, dispatches, makes again, lists again and retries."""
FAILED_OVER = [
    *(f"{moment} {FAULTS['cache failed over']} 1" for moment in AROUND),
    f"answered {RUN} 3",
    *(f"{moment} {DISPATCH} 1" for moment in ("reversing", "reversed")),
]
"""Fewer: AWS, and so the sandbox, tests fifteen failovers a day."""
STEPS = [
    Death(f"{step}, {how}", how, step)
    for how, steps in zip(FAULTS, (REBOOTED, FAILED_OVER), strict=True)
    for step in steps
]
CHANCES = [
    Death(f"{seconds} s, {how}", how, seconds=seconds)
    for how, instants in (("cache rebooted", (1.3, 2.9, 4.7, 7.1, 9.8, 12.4)), ("cache failed over", (2.2, 3.8, 6.1)))
    for seconds in instants
]
CASES = [*STEPS, *CHANCES]

pytestmark = pytest.mark.sweep


@pytest.fixture(scope="module")
def hand(battered_stack: Path) -> Hand:
    """Somebody else's hand."""
    return Hand(Aws(stack.read(battered_stack)))


def cache(hand: Hand) -> dict[str, Any]:
    """All of a cache that a drill might change; who of its nodes is the primary is ElastiCache's own matter."""
    client = hand.stranger.client("elasticache")
    (group,) = client.describe_replication_groups(ReplicationGroupId=GROUP)["ReplicationGroups"]
    rows = [client.describe_cache_clusters(CacheClusterId=name)["CacheClusters"][0] for name in group["MemberClusters"]]
    settings = ("AutomaticFailover", "MultiAZ", "MemberClusters", "SnapshotRetentionLimit")
    of_node = ("CacheClusterId", "CacheNodeType", "EngineVersion", "CacheParameterGroup")
    return {
        "statuses": {group["Status"], *(row["CacheClusterStatus"] for row in rows)},
        "group": {name: group.get(name) for name in settings},
        "nodes": [{name: row.get(name) for name in of_node} for row in rows],
        "roles": sorted(one["CurrentRole"] for one in group["NodeGroups"][0]["NodeGroupMembers"]),
    }


def wait_until_whole(hand: Hand) -> dict[str, Any]:
    """The cache, once it is available."""
    found: dict[str, Any] = wait_until(
        lambda: cache(hand),
        lambda found: bool(found["statuses"] == {"available"}),
        what=f"{GROUP} available",
        deadline=PATIENCE,
    )
    return found


def check(hand: Hand, case: Death, directory: Path) -> int:
    """Let a drill die and bring back what it owes; how its process ended."""
    before = wait_until_whole(hand)
    place = runs.Place(directory / f"cache-{CASES.index(case)}")
    place.directory.mkdir()
    outcome = brought_back(hand, case, place)
    check_brought_back(outcome)
    assert wait_until_whole(hand) == before
    assert outcome.code in (-signal.SIGKILL, 0), outcome.said
    return outcome.code


@pytest.mark.parametrize("case", STEPS, ids=lambda case: case.name)
def test_killed_at_a_step(case: Death, hand: Hand, tmp_path: Path) -> None:
    """SIGKILL before and after each entry of the journal, between call and settle, and on the way back: the cache is
    available with its settings as before, and no job of the drill is in any queue."""
    assert check(hand, case, tmp_path) == -signal.SIGKILL


@pytest.mark.parametrize("case", CHANCES, ids=lambda case: case.name)
def test_killed_at_random(case: Death, hand: Hand, tmp_path: Path) -> None:
    """SIGKILL at some instant, whatever cache and workers do meanwhile."""
    check(hand, case, tmp_path)
