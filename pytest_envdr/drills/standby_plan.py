"""What Terraform is about to do to the standby Region: whether it only creates, only there, and under names that fit.

Judged from the plan's JSON before anything is applied (aws-semantics 9.6, 9.7): names of IAM and S3 are global, and a
load balancer's name that is one character too long fails when half of the Region stands.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any

from pytest_envdr.drills import Finding
from pytest_envdr.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pytest_envdr.drills import Drill
    from pytest_envdr.stack import Stack
    from pytest_envdr.terraform import Change, Plan

GLOBAL = (
    "aws_iam_",
    "aws_route53_",
    "aws_cloudfront_",
    "aws_globalaccelerator_",
    "aws_organizations_",
    "aws_shield_",
    "aws_waf_",
    "aws_ecr_replication_configuration",
)
"""How the types of resources begin that the account has once, whatever the Region."""
LONGEST: Mapping[str, int] = {
    "aws_db_instance": 63,
    "aws_db_subnet_group": 255,
    "aws_ecs_service": 255,
    "aws_elasticache_replication_group": 40,
    "aws_iam_role": 64,
    "aws_lambda_function": 64,
    "aws_lb": 32,
    "aws_lb_target_group": 32,
    "aws_s3_bucket": 63,
    "aws_sqs_queue": 80,
}
"""How long a name may be (aws-semantics 11.8)."""
NAMES = ("name", "identifier", "bucket", "replication_group_id", "function_name")
"""The attributes that hold it."""
RESERVED = "internal-"
"""How no load balancer's name may begin."""


def findings(
    plan: Plan, stack: Stack, *, cidrs: Iterable[str], taken: Mapping[str, str], foreign: Iterable[str]
) -> list[Finding]:
    """What is wrong with a plan for the standby Region; empty where it may be applied.

    Args:
        plan: what would be done.
        stack: its Regions.
        cidrs: the address ranges of the primary.
        taken: global names that are taken -> by whom; S3's.
        foreign: addresses of the primary that no setting may name: its database, its cache, its load balancers.
    """
    found: list[Finding] = []
    primary = [stack.region, *foreign]
    for change in plan.changes:
        found += _not_a_create(change)
        found += _global(change, taken)
        found += _misnamed(change)
        found += _of_the_primary(change, primary)
        found += _overlapping(change, list(cidrs))
    return found


def check(drill: Drill, plan: Plan, found: Iterable[Finding], *, stage: str) -> None:
    """Tell what is planned, and refuse what is wrong with it; nothing of it was applied.

    Raises:
        Refused: with every finding.
    """
    rows = [(change.address, " and ".join(change.actions)) for change in plan.changes]
    drill.table(f"Planned: {stage}", ("address", "action"), rows, caption=f"By Terraform {plan.terraform}.")
    listed = [drill.finding(one) for one in found]
    if listed:
        lines = "\n".join(f"  {one}" for one in listed)
        raise Refused(f"The plan was not applied, because it does more than build the standby Region:\n{lines}")


def created(plan: Plan) -> list[str]:
    """The addresses of what a plan creates: what its undoing destroys."""
    return sorted(change.address for change in plan.changes if change.actions == ("create",))


def _not_a_create(change: Change) -> Iterator[Finding]:
    if change.actions != ("create",):
        yield Finding(
            "plan.not-a-create",
            "failure",
            f"{change.address} is not only created: {' and '.join(change.actions)}",
            f"differing: {', '.join(change.differing) or 'nothing known'}",
            "The standby Region must be empty, and its state be its own.",
        )


def _global(change: Change, taken: Mapping[str, str]) -> Iterator[Finding]:
    if change.type.startswith(GLOBAL):
        remedy = "Let the modules look up what the account has once, where they build a second Region."
        yield Finding("plan.global", "failure", f"{change.address} is the account's, not a Region's", "", remedy)
    name = _name(change)
    if change.type == "aws_s3_bucket" and name in taken:
        remedy = "S3's names are global: let the Region be a part of it."
        yield Finding("plan.global", "failure", f"the name of {change.address} is taken", taken[name], remedy)


def _misnamed(change: Change) -> Iterator[Finding]:
    name, longest = _name(change), LONGEST.get(change.type)
    if longest is not None and len(name) > longest:
        detail = f"{name} has {len(name)} characters, and at most {longest} are allowed"
        yield Finding("plan.name", "failure", f"the name of {change.address} is too long", detail)
    if change.type == "aws_lb" and name.startswith(RESERVED):
        yield Finding("plan.name", "failure", f"the name of {change.address} begins with {RESERVED}", name)


def _of_the_primary(change: Change, primary: Iterable[str]) -> Iterator[Finding]:
    """What names the primary Region, or something that is there. Whole words: 10.0.0.1 is not in 10.0.0.12."""
    for place, text in _texts(change.after):
        named = [one for one in primary if re.search(rf"(?<![\w-])(?<!\d\.){re.escape(one)}(?![\w-]|\.\d)", text)]
        if named:
            yield Finding(
                "plan.primary",
                "failure",
                f"{change.address} would depend on the primary Region",
                f"{place} names {named[0]}",
                "What the standby Region runs on must be in the standby Region.",
            )
            return


def _overlapping(change: Change, cidrs: Iterable[str]) -> Iterator[Finding]:
    block = change.after.get("cidr_block")
    if change.type != "aws_vpc" or not block:
        return
    planned = ipaddress.ip_network(str(block))
    for cidr in cidrs:
        if planned.overlaps(ipaddress.ip_network(cidr)):
            remedy = "Give the Regions ranges of their own: for going back they must reach one another."
            yield Finding("plan.overlap", "failure", f"{change.address} has addresses of the primary", cidr, remedy)


def _name(change: Change) -> str:
    return next((str(change.after[key]) for key in NAMES if change.after.get(key)), "")


def _texts(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every text in an attribute, with where it is; values may be secrets, so only the place is ever told."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item, place)
    elif hasattr(value, "items"):
        for key, item in value.items():
            yield from _texts(item, f"{place}.{key}" if place else str(key))
