"""The embedded stack, built through the API, in the order in which its parts need one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_envdr.sandbox.envelope import (
    backups,
    buckets,
    certificates,
    images,
    monitoring,
    network,
    pipeline,
    provisioner,
    queue,
    secondary,
    services,
    stack_file,
    standby,
    state,
    stores,
)
from pytest_envdr.sandbox.envelope.account import Account
from pytest_envdr.sandbox.envelope.names import CLUSTER, REGION, SERVICES, STANDBY_REGION

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_envdr.sandbox.world import World


def build(world: World, away: World, version: str, report: Callable[[str], None], *, tenants: int) -> str:
    """Build the stack and wait until it stands; the text of its stack file. `away` is the standby Region's world."""
    account = Account(world)
    standby.replicate_images(account)
    images.create(account)
    report("network")
    net = network.create(account)
    report("load balancers")
    balancers = services.create_load_balancers(account, net)
    topic, oncall = monitoring.create_topic(account)
    report("database, cache and queue")
    places = stores.create(account, net)
    queue.create(account)
    report("tenants' buckets")
    buckets.create(account, tenants)
    plan = backups.create(account)
    state.create(account)
    secondary.create(account)
    certificates.create(account, REGION, STANDBY_REGION)
    report("services")
    key = services.new_app_key()
    services.create_services(account, net, places, balancers, key)
    provisioner.create(account)
    copies_key = standby.replicate_secret(account)
    _wait_until_steady(account, balancers, report)
    monitoring.create_alarms(account, topic, balancers)
    provisioner.create_alarms(account, topic)
    report("first backups")
    world.founding = True
    broken = pipeline.create(account)
    stores.begin_backups(account)
    backups.complete(account, plan)
    stores.take_snapshot(account)
    standby.replicate_backups(account, copies_key)
    world.founding = False
    state.describe(account, key)
    secondary.describe(account, away, key)
    return stack_file.render(
        world,
        topic=topic,
        queue=oncall,
        balancers=balancers,
        version=version,
        tenant_count=tenants,
        broken_sources=broken,
    )


def _wait_until_steady(
    account: Account, balancers: dict[str, services.LoadBalancer], report: Callable[[str], None]
) -> None:
    names = [service.name for service in SERVICES]
    report("waiting for all services to be steady")
    account.wait_until("all services steady", lambda: _steady(account, names))
    report("waiting for all targets to be healthy")
    groups = [group for balancer in balancers.values() for group in balancer.target_groups.values()]
    account.wait_until("all targets healthy", lambda: all(_healthy(account, group) for group in groups))


def _steady(account: Account, names: list[str]) -> bool:
    rows = account.client("ecs").describe_services(cluster=CLUSTER, services=names)["services"]
    return all(row["runningCount"] == row["desiredCount"] and len(row["deployments"]) == 1 for row in rows)


def _healthy(account: Account, group: str) -> bool:
    answer = account.client("elbv2").describe_target_health(TargetGroupArn=group)
    states = [row["TargetHealth"]["State"] for row in answer["TargetHealthDescriptions"]]
    return bool(states) and all(state == "healthy" for state in states)
