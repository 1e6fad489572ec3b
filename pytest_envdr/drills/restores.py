"""An instance restored aside: from which recovery point, on which conditions, and until one can log in."""

from __future__ import annotations

import json
import math
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, cast

import pymysql

from pytest_envdr import mariadb
from pytest_envdr.aws import backup, ec2, rds, secretsmanager
from pytest_envdr.drills import Finding
from pytest_envdr.errors import Refused, WaitFailed, WaitTimedOut
from pytest_envdr.mariadb import Server
from pytest_envdr.timeline import Mark

if TYPE_CHECKING:
    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.journal import Journal

Source = Literal["automated", "manual", "point-in-time", "backup", "replicated"]

LIFETIME = timedelta(hours=12)
"""After how long nobody should find a restored copy any more."""
PATIENCE = 2
"""How many times the RTO a restore is waited for, so that one that comes late is measured all the same."""
LOOKS = 5
"""How often a copy that was answered may be looked for in vain before it counts as gone: reads may be late on AWS."""
REACH_SECONDS = 30.0
"""How long an available instance may take no connections before the network is to blame."""
CHANGED = {"event_scheduler": "OFF"}
"""What a copy's parameters say otherwise: events of restored data must not run (aws-semantics 1.12)."""


@dataclass(frozen=True)
class Origin:
    """What an instance is restored from.

    Attributes:
        source: which kind.
        name: the snapshot's identifier, the recovery point's ARN, or "the latest point in time".
        at: as old as its data are said to be; the heartbeats tell it exactly.
        instant: the instant to restore to; None for the latest, and where the source is no point in time.
        point: AWS Backup's recovery point.
    """

    source: Source
    name: str
    at: datetime
    instant: datetime | None = None
    point: backup.RecoveryPoint | None = None


@dataclass
class Aside:
    """A restored instance of the drill's own.

    Attributes:
        placement: how it was asked for.
        origin: what it was made from.
        groups: its security group.
        job: AWS Backup's restore job; "" without.
        instance: as it was when it was available.
        server: how to log in; None before one can.
        reset: whether its master password had to be set.
    """

    placement: rds.Placement
    origin: Origin
    group: str
    job: str = ""
    instance: rds.Instance | None = None
    server: Server | None = None
    reset: bool = False
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def identifier(self) -> str:
        return self.placement.identifier


def newest(aws: Aws, instance: rds.Instance, source: str) -> Origin:
    """The newest that an instance can be restored from.

    Raises:
        Refused: there is none; says why.
    """
    if source == "point-in-time":
        return _latest(instance)
    if source == "backup":
        return _recovery_point(aws, instance)
    kind = cast("rds.SnapshotKind", source)
    found = rds.snapshots(aws, instance, kind)
    if not found or found[0].at is None:
        raise Refused(
            f"Nothing was touched: {instance.identifier} ({instance.resource_id}) has no {source} snapshot of its own "
            f"that can be restored.\nTo go on: make one, or restore from another source with --envdr-restore-from."
        )
    return Origin(cast("Source", source), found[0].identifier, found[0].at)


def at_instant(instance: rds.Instance, instant: datetime) -> Origin:
    """A point in time: it must have been archived.

    Raises:
        Refused: nothing is backed up, or not up to there (yet).
    """
    latest = _latest(instance)
    if instant >= latest.at:
        raise Refused(
            f"{instance.identifier} can be restored up to {latest.at:%H:%M:%S} UTC, and not to {instant:%H:%M:%S}."
        )
    return Origin("point-in-time", f"{instant:%Y-%m-%d %H:%M:%S} UTC", instant, instant)


def check_possible(aws: Aws, instance: rds.Instance, server: Server) -> None:
    """Refuse what AWS would refuse, or end in a terminal state, half an hour later (aws-semantics 1.8, 1.11).

    Raises:
        Refused: the source is not available, quotas are used up, or it has tables that a restore does not bring back.
    """
    if instance.status not in rds.READY | {"backing-up"}:
        raise Refused(f"Nothing was touched: {instance.identifier} is {instance.status}, not available.")
    quotas = rds.quotas(aws)
    for name, more in (("DBInstances", 1), ("AllocatedStorage", instance.allocated_gib)):
        quota = quotas.get(name)
        if quota and quota.used + more > quota.maximum:
            raise Refused(
                f"Nothing was touched: the quota {name} is {quota.maximum}, {quota.used} are used, and a restore needs "
                f"{more} more.\nTo go on: have it raised, or delete what is not needed."
            )
    if unsafe := _not_innodb(server):
        raise Refused(
            f"Nothing was touched: a restore may end in incompatible-restore, because of tables that are not InnoDB: "
            f"{', '.join(unsafe[:10])} ({len(unsafe)}).\nTo go on: ALTER TABLE ... ENGINE=InnoDB."
        )


def prepare(
    aws: Aws,
    journal: Journal,
    drill: Drill,
    instance: rds.Instance,
    origin: Origin,
    *,
    word: str,
    ports: tuple[int, ...],
) -> Aside:
    """A parameter group and a security group for a copy: like the source's, but that its events do not run, and that
    it is reached by the drill alone and by what the drill starts (at `ports` too).

    `word` is the scenario's in the names: "envdr-<word>-<hex>".
    """
    name = f"envdr-{word}-{secrets.token_hex(3)}"
    if rds.existing(aws, name) is not None:
        raise Refused(f"Nothing was touched: there is an instance {name} already.")
    row = aws.stack.database
    reach = row.reach if row else ()
    tags = {
        "envdr:exercise": drill.exercise_id,
        "envdr:scenario": word,
        "envdr:expires-at": (datetime.now(UTC) + LIFETIME).isoformat(timespec="seconds"),
        "envdr:source": instance.identifier,
    }
    rds.create_parameter_group(aws, journal, name=name, like=instance.parameter_group, changed=CHANGED, tags=tags)
    open_to = dict.fromkeys((instance.port, *ports), reach)
    group = ec2.create_security_group(aws, journal, name=name, vpc=instance.vpc, open_to=open_to, tags=tags)
    return Aside(rds.Placement(name, instance, name, (group,), tags), origin, group, tags=tags)


def request(aws: Aws, journal: Journal, drill: Drill, aside: Aside) -> None:
    """Send the request that restores; marks SEEN unless that is told already: whoever restores has seen the fault."""
    if drill.marked(Mark.SEEN) is None:
        drill.mark(Mark.SEEN, by="who restores")
    origin = aside.origin
    if origin.source == "backup":
        aside.job = _start_job(aws, journal, aside)
    elif origin.source == "point-in-time":
        rds.restore_point_in_time(aws, journal, origin.instant, aside.placement)
    else:
        rds.restore_snapshot(aws, journal, origin.name, aside.placement)
    drill.note(f"{aside.identifier} is being restored from {origin.source}: {origin.name}")


def wait_until_available(aws: Aws, journal: Journal, drill: Drill, aside: Aside) -> rds.Instance:
    """Until a copy is available, twice some time apart (aws-semantics 1.4); marks "available".

    Raises:
        WaitFailed: it is in a state that it does not leave, or AWS Backup gave up.
        WaitTimedOut: it did not become available within twice the RTO.
    """
    rto = drill.rto_seconds
    hold = min(max(rto / 120, 0.5), 30.0)
    since: list[float] = []
    # Without a job the request was answered by an instance, which then may be missing for a moment at the most.
    looks_left = math.inf if aside.job else LOOKS

    def read() -> str:
        nonlocal looks_left
        found = rds.existing(aws, aside.identifier)
        looks_left = 0 if found else looks_left - 1
        status = found.status if found else "gone" if looks_left < 0 else _job_status(aws, aside)
        if found is None or status not in rds.READY:
            since.clear()
            return status
        aside.instance = found
        since.append(drill.clock.monotonic())
        return status if since[-1] - since[0] >= hold else f"{status}, and must be so again"

    try:
        drill.wait_until(
            read,
            lambda status: status in rds.READY,
            what=f"{aside.identifier} available",
            deadline=PATIENCE * rto,
            failed=lambda status: status if status.removeprefix("restore job ").partition(":")[0] in _ENDS else None,
            longest_interval=min(max(rto / 60, 0.5), 15.0),
        )
    except (WaitFailed, WaitTimedOut) as error:
        drill.finding(
            Finding(
                "database.not-restored", "failure", f"{aside.identifier} did not come up", str(error).partition("\n")[0]
            )
        )
        raise
    drill.mark("available", clock=since[0])
    if aside.instance is None:  # for the type checker: `read` saw it
        raise WaitFailed(f"{aside.identifier} is gone.")
    if aside.job:
        # AWS Backup takes no tags of ours; without any, a copy has the source's and may be taken for it.
        rds.retag_instance(aws, journal, aside.instance, aside.tags)
    return aside.instance


_ENDS = rds.TERMINAL | {"ABORTED", "FAILED", "gone"}
"""Statuses of instances and of restore jobs that are not left again; "gone": it was there, and is no more."""


def log_in(aws: Aws, journal: Journal, drill: Drill, aside: Aside, *, reach_seconds: float = REACH_SECONDS) -> Server:
    """Until somebody can log in to an available copy. Its password is the snapshot's: where the secret's is another one
    by now, the secret's is set (aws-semantics 1.10), which the runbook calls a deviation.

    Raises:
        WaitFailed: nothing takes connections there, though the API says available; a finding says so.
    """
    instance, row = aside.instance, aws.stack.database
    if instance is None or row is None:
        raise WaitFailed(f"{aside.identifier} is not available.")
    login = secretsmanager.login(aws, row.secret)
    server = Server(instance.host, instance.port, login.user, login.password)
    _check_reachable(drill, instance, server, reach_seconds)
    if not _takes(server):
        drill.deviation(
            f"the secret's password is not that of {aside.origin.name}: the copy {aside.identifier} was given it"
        )
        rds.set_master_password(aws, journal, instance, login.password)
        aside.reset = True
        drill.wait_until(
            lambda: _takes(server) and not rds.instance(aws, aside.identifier).pending,
            what=f"{aside.identifier} taking the secret's password",
            deadline=PATIENCE * drill.rto_seconds,
            longest_interval=2.0,
        )
    aside.server = server
    drill.mark("logged in")
    return server


def source_server(aws: Aws, instance: rds.Instance) -> Server:
    """How to log in to the stack's own instance.

    Raises:
        Refused: it has no endpoint, or does not take the secret's password.
    """
    row = aws.stack.database
    if row is None or not instance.host:
        raise Refused(f"Nothing was touched: {instance.identifier} has no endpoint.")
    login = secretsmanager.login(aws, row.secret)
    server = Server(instance.host, instance.port, login.user, login.password)
    if reason := mariadb.unreachable(server):
        raise Refused(f"Nothing was touched: {instance.identifier} takes no connection at {server}: {reason}")
    if not _takes(server):
        raise Refused(
            f"Nothing was touched: {instance.identifier} does not take user and password of secret {row.secret}."
        )
    return server


def _latest(instance: rds.Instance) -> Origin:
    if not instance.retention_days or instance.restorable_until is None:
        days = f"its BackupRetentionPeriod is {instance.retention_days}"
        raise Refused(
            f"Nothing was touched: {instance.identifier} can be restored to no point in time: {days}"
            f"{'' if not instance.retention_days else ', and there is no automated backup yet'}.\n"
            "To go on: have it backed up, or restore from another source with --envdr-restore-from."
        )
    return Origin("point-in-time", "the latest point in time", instance.restorable_until)


def _recovery_point(aws: Aws, instance: rds.Instance) -> Origin:
    aws.stack.needs("backup")
    row = aws.stack.backup
    points = backup.recovery_points(aws, row.vault, instance.arn) if row else []
    if row is None or not points:
        raise Refused(
            f"Nothing was touched: vault {row.vault if row else ''} has no recovery point of {instance.arn} that can "
            "be restored.\nTo go on: have it backed up, or restore from another source with --envdr-restore-from."
        )
    return Origin("backup", points[0].arn, points[0].created_at, point=points[0])


def _start_job(aws: Aws, journal: Journal, aside: Aside) -> str:
    """What AWS Backup knows of the source, overlaid with all that it would choose by itself."""
    row, point = aws.stack.backup, aside.origin.point
    if row is None or point is None:
        raise Refused("The stack file has no [backup].")
    metadata = backup.restore_metadata(aws, point) | {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in aside.placement.arguments.items()
        if key not in ("Tags", "TagSpecifications")
    }
    metadata |= {"DBInstanceIdentifier": aside.identifier}
    return backup.start_restore(
        aws,
        journal,
        point,
        metadata=metadata,
        role=row.role,
        token=aside.identifier,
        inverse=rds.deletion(journal, aside.placement),
    )


def _job_status(aws: Aws, aside: Aside) -> str:
    if not aside.job:
        return "not there"
    job = backup.restore_job(aws, aside.job)
    return f"restore job {job.status}: {job.message or job.percent}"


def _check_reachable(drill: Drill, instance: rds.Instance, server: Server, seconds: float) -> None:
    try:
        drill.wait_until(
            lambda: mariadb.unreachable(server),
            lambda reason: not reason,
            what=f"a connection to {server}",
            deadline=seconds,
            longest_interval=2.0,
        )
    except WaitTimedOut as error:
        drill.finding(
            Finding(
                "database.unreachable",
                "failure",
                f"{instance.identifier} is {instance.status} to the API, and takes no connection from here",
                f"{server}: {error.last}",
                "The restore went well, the network did not: look at the subnets' routes, at `database.reach` in the "
                "stack file, and from where this runs.",
            )
        )
        raise WaitFailed(f"{instance.identifier} is {instance.status}, and cannot be reached: {error.last}") from error


def _takes(server: Server) -> bool:
    """Whether user and password are taken. Anything else that is wrong is raised."""
    try:
        mariadb.connect(server, seconds=10.0).close()
    except pymysql.OperationalError as error:
        if error.args[0] == mariadb.DENIED:
            return False
        raise
    return True


def _not_innodb(server: Server) -> list[str]:
    """Tables that automated backups do not hold for sure (aws-semantics 1.8)."""
    with mariadb.session(server) as cursor:
        cursor.execute(
            "SELECT CONCAT(table_schema, '.', table_name, ' ', engine) FROM information_schema.tables"
            " WHERE table_type = 'BASE TABLE' AND engine NOT IN ('InnoDB', 'SEQUENCE')"
            " AND table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys', 'innodb')"
            " ORDER BY 1"
        )
        return [str(row[0]) for row in cursor.fetchall()]
