"""The stack file that describes the embedded stack."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_envdr.sandbox.envelope import images, provisioner, queue, secondary, state
from pytest_envdr.sandbox.envelope.database import tenants
from pytest_envdr.sandbox.envelope.names import (
    BUS,
    CACHE,
    CLUSTER,
    DATABASE,
    LISTENER_PORT,
    PREFIX,
    PROVISIONER,
    SECRET,
    SERVICES,
    STANDBY_REGION,
    TENANT_ARCHIVE,
    TENANT_BUCKET_PREFIX,
    TENANT_RULE,
    UNDELIVERED_TENANTS,
    UNMADE_BUCKETS,
    Service,
)
from pytest_envdr.sandbox.envelope.pipeline import PIPELINE, SOURCE, TEST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_envdr.sandbox.envelope.services import LoadBalancer
    from pytest_envdr.sandbox.world import World

OBJECTIVES: dict[str, tuple[float, float | None]] = {
    "ecs_failover": (45, None),
    "database_restore": (60, 40),
    "single_tenant_recovery": (90, 15),
    "tenant_bucket_recovery": (60, 5),
    "bad_deployment_rollback": (60, None),
    "worker_queue_recovery": (60, 0),
    "control_plane_loss": (60, 0),
    "lambda_provisioner_failure": (60, 0),
    "regional_failover": (180, 30),
}
"""RTO and RPO in wall seconds, promised at speed 10.

ecs_failover: with its last target a group's HealthyHostCount vanishes, and an alarm on one period of 60 s then still
sees the last value for three periods before it takes missing data as breaching; 24 of the 45 s may go to detection.

database_restore: a point in time loses what was not archived yet, binary logs being archived every 5 minutes (30 s),
and the seconds around.

worker_queue_recovery: a job whose worker was killed comes back after `retry_after`, which is the application's own time
and not divided by the speed (14 s at speed 10); where its tries are used up it then fails, and works anew when retried.
"""
DAY = 86_400.0
DAILY = {
    "database_restore": ("automated", "manual", "backup"),
    "single_tenant_recovery": ("automated", "manual", "backup"),
    "tenant_bucket_recovery": ("backup",),
}
"""From which sources a scenario loses up to a day (in AWS's seconds): snapshots and backups are made once a day."""
ALLOWS = {
    "database_restore": "cutover",
    "single_tenant_recovery": "swap",
    "tenant_bucket_recovery": "merge",
    "worker_queue_recovery": "reboot",
    "control_plane_loss": "state",
}
"""What is approved beyond the scenario itself: nothing but this machine is touched."""
IDENTITY = "SELECT JSON_VALUE(value, '$.slug') FROM settings WHERE name = 'company'"
"""Whose a tenant's database is, by a row of its own."""
BAD_IMAGES = {
    "cannot-be-pulled": images.NOT_THERE,
    "exits": "exits",
    "unhealthy": "unhealthy",
    "answers-500": "answers-500",
    "grows": "grows",
}
"""Kind of badness to the tag of the image."""
DECLARED_WRITES = ("dr_heartbeat", "dr_probe", "dr_jobs", "dr_outbox", "dr_runs", "dr_effects", "failed_jobs")
"""What the application writes to while a drill runs."""
ALARM_SECONDS = 300
"""How long a fault may stay unnoticed, in AWS's seconds: three periods of the alarm with the last value still in sight,
the one that was running, and its evaluation and delivery."""

ARCHIVE_SECONDS = 600.0
"""How long an event may take to be in an archive, in AWS's seconds ("Replaying archived events", EventBridge)."""
ARRIVAL_SECONDS = 1.0
"""From the application to the bus, and a clock that is a little off."""

RUNBOOKS = {
    "database_restore": "docs/backup-restore-runbook.md",
    "single_tenant_recovery": "docs/single-tenant-recovery.md",
    "tenant_bucket_recovery": "docs/tenant-bucket-recovery.md",
    "worker_queue_recovery": "docs/worker-queue-recovery.md",
    "bad_deployment_rollback": "docs/deployment-guide.md",
    "lambda_provisioner_failure": "docs/tenant-provisioner-runbook.md",
    "control_plane_loss": "docs/terraform-state-runbook.md",
    "regional_failover": "docs/regional-failover-runbook.md",
}
ROLES = {
    "incident_lead": ("Platform Lead", "Senior Engineer"),
    "database_lead": ("DB Engineer", "On-call DBA"),
    "application_lead": ("App Owner", "App Engineer"),
    "communications": ("Support Manager", "Incident Manager"),
    "security_observer": ("SecOps Analyst", "Compliance Officer"),
}


def render(
    world: World,
    *,
    topic: str,
    queue: str,
    balancers: dict[str, LoadBalancer],
    version: str,
    tenant_count: int,
    broken_sources: Mapping[str, str],
) -> str:
    """The stack file's text (TOML); `broken_sources` as `pipeline.create` gives them."""
    head = {
        "name": "envelope-prod",
        "kind": "sandbox",
        "endpoint": world.endpoint,
        "account": world.account,
        "region": world.region,
        "standby_region": STANDBY_REGION,
        "speed": world.speed,
        "version": version,
    }
    parts = [
        "# The embedded sandbox's stack. A real account's file has the same form, without endpoint and credentials.",
        *_keys(head),
        *_table("credentials", {"access_key_id": "sandbox", "secret_access_key": "sandbox"}),
        *_table("notifications", {"topic": topic, "subscribers": [queue]}),
    ]
    for service in SERVICES:
        parts += _service(service, _url(service, balancers))
    parts += _data(world, tenant_count)
    for kind, tag in BAD_IMAGES.items():
        if tag in broken_sources:
            revision = {"action": SOURCE, "s3_object_key": TEST, "s3_object_version_id": broken_sources[tag]}
            parts += _table(f"bad_deployment.revisions.{kind}", revision)
    for scenario in OBJECTIVES:
        parts += _objective(world, scenario)
    parts += _table("runbooks", RUNBOOKS)
    for scenario in OBJECTIVES:
        approval: dict[str, object] = {"by": "the sandbox", "reference": "nothing but this machine is touched"}
        if scenario in ALLOWS:
            approval["allows"] = [ALLOWS[scenario]]
        parts += _table(f"approvals.{scenario}", approval)
    for role, (primary, backup) in ROLES.items():
        parts += _table(f"roles.{role}", {"primary": primary, "backup": backup})
    return "\n".join(parts) + "\n"


def _data(world: World, count: int) -> list[str]:
    """What the data scenarios need: where the data is, how it is backed up, whose may be damaged."""
    database = {
        "instance": DATABASE,
        "secret": SECRET,
        "documents": "SELECT object_key FROM documents",
        "declared_writes": DECLARED_WRITES,
        "reach": [str(world.network)],
    }
    role = f"arn:aws:iam::{world.account}:role/{PREFIX}-backup"
    return [
        *_table("database", database),
        *_table("database.heartbeat", {"table": "dr_heartbeat"}),
        *_table("backup", {"vault": PREFIX, "plan": f"{PREFIX}-daily", "role": role}),
        *_table("maintenance", {"service": "api", "path": "/api/tenants"}),
        *_table("bad_deployment", {"service": "api", "pipeline": PIPELINE}),
        *_table("bad_deployment.images", {kind: images.reference(tag) for kind, tag in BAD_IMAGES.items()}),
        *_table("provisioner", _provisioner(world)),
        *_table("queue", _queue(world, tenants(count)[-1].slug)),
        *_table("terraform", state.row(world)),
        *(line for name, rows in secondary.tables(world, count).items() for line in _table(name, rows)),
        *_table("drill_tenant", {"slug": tenants(count)[-1].slug, "page": "/t/{slug}/orders", "identity": IDENTITY}),
    ]


def _provisioner(world: World) -> dict[str, object]:
    return {
        "function": PROVISIONER,
        "bus": BUS,
        "rule": TENANT_RULE,
        "target": provisioner.TARGET,
        "statement": provisioner.STATEMENT,
        "source": provisioner.SOURCE,
        "detail_type": provisioner.DETAIL_TYPE,
        "archive": TENANT_ARCHIVE,
        "archive_seconds": round(world.scaled(ARCHIVE_SECONDS) + ARRIVAL_SECONDS, 2),
        "dead_letters": UNMADE_BUCKETS,
        "undelivered": UNDELIVERED_TENANTS,
        "log_group": provisioner.LOG_GROUP,
        "bucket": f"{TENANT_BUCKET_PREFIX}{{slug}}",
        "alarms": list(provisioner.ALARMS),
    }


def _queue(world: World, tenant: str) -> dict[str, object]:
    times = queue.times(world)
    names = {"connection": world.queue, "name": queue.name(world)}
    if world.queue == "redis":
        names["cache"] = CACHE
    return names | {"long_seconds": times.long, "short_seconds": times.short, "tenant": tenant}


def _objective(world: World, scenario: str) -> list[str]:
    rto, rpo = OBJECTIVES[scenario]
    name = f"objectives.{scenario}"
    rows: dict[str, object] = {"rto_seconds": rto, "detect_seconds": max(10.0, world.scaled(ALARM_SECONDS))}
    if rpo is not None:
        rows["rpo_seconds"] = rpo
    daily = dict.fromkeys(DAILY.get(scenario, ()), world.scaled(DAY))
    return _table(name, rows) + (_table(f"{name}.rpo_seconds_from", daily) if daily else [])


def _url(service: Service, balancers: dict[str, LoadBalancer]) -> tuple[str, str]:
    """URL and host of the load balancer that a client asks; services without a port are seen through the api."""
    asked = service if service.load_balancer else SERVICES[0]
    return f"http://{balancers[str(asked.load_balancer)].address}:{LISTENER_PORT}", asked.host


def _service(service: Service, url: tuple[str, str]) -> list[str]:
    kinds = {"worker": "job", "scheduler": "heartbeat", "reverb": "websocket"}
    ends = ("no-healthy-host",) if service.load_balancer else ("stalled",)
    errors = ("5xx",) if service.load_balancer else ()
    row = {
        "name": service.name,
        "cluster": CLUSTER,
        "alarms": [f"{service.name}-{end}" for end in ends],
        "error_alarms": [f"{service.name}-{end}" for end in errors],
    }
    probe = {"kind": kinds.get(service.word, "http"), "url": url[0], "host": url[1]}
    return _table(f"services.{service.word}", row) + _table(f"services.{service.word}.probe", probe)


def _table(name: str, rows: Mapping[str, object]) -> list[str]:
    return ["", f"[{name}]", *_keys(rows)]


def _keys(rows: Mapping[str, object]) -> list[str]:
    # A JSON string, number or list of strings is TOML as well.
    return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in rows.items()]
