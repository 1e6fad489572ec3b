"""The standby Region built: what the database is restored into, the database, then all the rest, by the same modules.

Two plans of one state, each judged before it is applied: the modules look the database up, so it must be there for the
second one, and it is restored into the network that the first one makes.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pytest_envdr import builds
from pytest_envdr.aws import ec2, rds, rds_replicas
from pytest_envdr.drills import restores, standby_plan
from pytest_envdr.errors import NotFound, Refused
from pytest_envdr.timeline import Mark

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_envdr.aws import Aws
    from pytest_envdr.builds import Build
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.restores import Aside
    from pytest_envdr.journal import Journal
    from pytest_envdr.tables import Secondary
    from pytest_envdr.terraform import Plan

WORD = "region"


@dataclass(frozen=True)
class Primary:
    """What is known of the primary Region from before; from then on it is not asked any more.

    Attributes:
        region: its name.
        instance: its database.
        cidrs: the addresses of its network.
        addresses: where its parts answer -> what answers there.
        buckets: names of buckets that are taken.
    """

    region: str
    instance: rds.Instance
    cidrs: tuple[str, ...]
    addresses: Mapping[str, str]
    buckets: Mapping[str, str]


@dataclass
class Standby:
    """A standby Region that is being built.

    Attributes:
        row: the stack file's.
        primary: what is known of the other one.
        backup: what the database is restored from.
        identifier: how it will be called.
        tags: of all that is made.
        build: the modules with their state; None before.
        aside: the database; None before.
        made: the addresses that Terraform has made.
    """

    row: Secondary
    primary: Primary
    backup: rds_replicas.ReplicatedBackup
    identifier: str
    tags: dict[str, str]
    build: Build | None = None
    aside: Aside | None = None
    made: list[str] = field(default_factory=list)

    @property
    def database(self) -> Aside:
        """The restored database.

        Raises:
            Refused: nothing was restored yet.
        """
        if self.aside is None:
            raise Refused("Nothing was restored yet: call `restore` first.")
        return self.aside


def newest_backup(there: Aws, instance: rds.Instance, *, region: str) -> rds_replicas.ReplicatedBackup:
    """What the database can be restored from in the standby Region.

    Raises:
        Refused: there is nothing.
    """
    found = rds_replicas.replicated_backups(there, instance.identifier, source_region=region)
    usable = [one for one in found if one.usable and one.resource_id == instance.resource_id]
    if not usable:
        states = ", ".join(one.status for one in found) or "none"
        raise Refused(
            f"Nothing was touched: no automated backup of {instance.identifier} that could be restored is replicated "
            f"to {there.stack.region} (found: {states}).\nTo go on: start-db-instance-automated-backups-replication."
        )
    return usable[0]


def planned(drill: Drill, row: Secondary, primary: Primary, backup: rds_replicas.ReplicatedBackup) -> Standby:
    """Names and tags of what will be built."""
    tags = {
        "envdr:exercise": drill.exercise_id,
        "envdr:scenario": "regional_failover",
        "envdr:expires-at": (datetime.now(UTC) + restores.LIFETIME).isoformat(timespec="seconds"),
    }
    return Standby(row, primary, backup, f"envdr-{WORD}-{secrets.token_hex(3)}", tags)


def restore_database(there: Aws, journal: Journal, drill: Drill, standby: Standby) -> Aside:
    """What the database needs is built, then the database is restored into it, until somebody can log in.

    Raises:
        Refused: the plan does more than it may; nothing of it was applied.
        TerraformFailed, AwsError, WaitFailed, WaitTimedOut: it could not be built.
    """
    if drill.marked(Mark.SEEN) is None:
        drill.mark(Mark.SEEN, by="who fails over")
    standby.build, terraform = builds.begin(
        there, journal, standby.row.terraform, _variables(standby), prefixes=(standby.row.prefix,)
    )
    targets = [f"-target={address}" for address in standby.row.first]
    _apply(there, journal, drill, standby, terraform.plan(*targets), stage="network of the standby Region")
    drill.mark("network built")
    aside = _placed(there, journal, standby)
    rds_replicas.restore_replicated(there, journal, standby.backup, aside.placement)
    standby.aside = aside
    restores.wait_until_available(there, journal, drill, aside)
    restores.log_in(there, journal, drill, aside)
    return aside


def build_rest(there: Aws, journal: Journal, drill: Drill, standby: Standby) -> None:
    """All that the modules make besides, with the restored database looked up.

    Raises:
        Refused: the plan does more than it may; nothing of it was applied.
        TerraformFailed: with Terraform's own words.
    """
    if standby.build is None:
        raise Refused("Nothing was restored yet: call `restore` first.")
    plan = standby.build.terraform(there).plan()
    _apply(there, journal, drill, standby, plan, stage="the rest of the standby Region")
    drill.mark("stack built")


def _apply(there: Aws, journal: Journal, drill: Drill, standby: Standby, plan: Plan, *, stage: str) -> None:
    """Judged by its JSON, then applied as it was judged."""
    primary, build = standby.primary, standby.build
    here = there.elsewhere(primary.region).stack
    found = standby_plan.findings(plan, here, cidrs=primary.cidrs, taken=primary.buckets, foreign=primary.addresses)
    standby_plan.check(drill, plan, found, stage=stage)
    if build is not None:
        standby.made += builds.apply(there, journal, build, plan, what=stage)


def _variables(standby: Standby) -> dict[str, Any]:
    row = standby.row
    given: dict[str, Any] = {row.database_variable: standby.identifier}
    return given | ({row.tags_variable: standby.tags} if row.tags_variable else {})


def _placed(there: Aws, journal: Journal, standby: Standby) -> Aside:
    """Where the database goes: into the groups that were built, reached by the services, and by the drill itself
    through a group of its own."""
    row, source = standby.row, standby.primary.instance
    groups = ec2.security_groups(there, row.security_group)
    if not groups:
        raise NotFound(f"There is no security group {row.security_group} in {there.stack.region}, though it was built.")
    reach = there.stack.database.reach if there.stack.database else ()
    own = ec2.create_security_group(
        there, journal, name=standby.identifier, vpc=groups[0].vpc, open_to={source.port: reach}, tags=standby.tags
    )
    there_source = replace(source, subnet_group=row.subnet_group, option_groups=(), vpc=groups[0].vpc)
    placement = rds.Placement(standby.identifier, there_source, row.parameter_group, (groups[0].id, own), standby.tags)
    at = standby.backup.until or datetime.now(UTC)
    origin = restores.Origin("replicated", standby.backup.arn, at)
    return restores.Aside(placement, origin, own, tags=standby.tags)
