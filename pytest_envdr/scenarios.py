"""The nine scenarios of the DR test plan as rows. One word each: marker = row key = `dr_tests/test_<word>.py`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scenario:
    """One scenario of the plan.

    Attributes:
        word: the marker, and the key in the stack file's `[objectives]`, `[runbooks]` and `[approvals]`.
        title: its name in the plan.
        expected: the plan's expected outcome.
        breaks: what it may break while it runs (the blast radius).
        controls: the controls that it is evidence for (aws-semantics 15.1).
    """

    word: str
    title: str
    expected: str
    breaks: str
    controls: tuple[str, ...]


_ROWS = (
    Scenario(
        "database_restore",
        "Database Restore",
        "Restored DB passes integrity checks; all tenant databases intact",
        "nothing of the running stack but maintenance mode; a new instance stands beside it",
        ("NIST CP-4", "NIST CP-9(1)", "NIST CP-10", "ISO 27001 A.8.13", "SOC 2 A1.3", "DORA 12(2)"),
    ),
    Scenario(
        "single_tenant_recovery",
        "Single Tenant Recovery",
        "Tenant data restored; other tenants unaffected",
        "one tenant's database",
        ("NIST CP-9(1)", "NIST CP-10(2)", "ISO 27001 A.8.13", "SOC 2 A1.3", "DORA 12(7)"),
    ),
    Scenario(
        "tenant_bucket_recovery",
        "Tenant Bucket Recovery",
        "All critical objects restored; policies/tags preserved; documented merge steps",
        "nothing of the running stack; a staging bucket stands beside it",
        ("NIST CP-9(1)", "NIST CP-9(8)", "ISO 27001 A.8.13", "SOC 2 A1.3", "DORA 12(1)"),
    ),
    Scenario(
        "ecs_failover",
        "ECS Service Failover",
        "ECS relaunches tasks; ALB health checks pass; service recovers within RTO",
        "every task of one service: its clients see an outage",
        ("NIST CP-10", "NIST CP-2(3)", "ISO 27001 A.8.14", "ISO 27001 A.5.30", "SOC 2 A1.3", "DORA 11(6)"),
    ),
    Scenario(
        "bad_deployment_rollback",
        "Bad Deployment Rollback",
        "Previous version restored; CI/CD pipeline can be re-triggered",
        "one service's deployment and the pipeline's inbound transition",
        ("NIST CP-10", "ISO 27001 A.5.30", "SOC 2 A1.3", "PCI DSS 12.10.6", "DORA 11(6)"),
    ),
    Scenario(
        "worker_queue_recovery",
        "Worker Queue Recovery",
        "Jobs reprocessed after worker restart; no data loss",
        "the worker's tasks; with the Redis variants the cache cluster",
        ("NIST CP-10(2)", "ISO 27001 A.5.30", "SOC 2 A1.3", "DORA 12(7)"),
    ),
    Scenario(
        "control_plane_loss",
        "Control Plane Loss",
        "State recovered, no drift; documentation updated",
        "a copy of the Terraform state; the stack's own key only where approved",
        ("NIST CP-9", "NIST CP-10", "ISO 27001 A.5.29", "SOC 2 A1.2", "DORA 12(1)"),
    ),
    Scenario(
        "lambda_provisioner_failure",
        "Lambda Provisioner Failure",
        "Tenant created without S3; manual bucket creation documented",
        "the tenant provisioner: new tenants get no bucket meanwhile",
        ("NIST CP-2", "NIST CP-10", "ISO 27001 A.5.29", "SOC 2 A1.3", "DORA 11(6)"),
    ),
    Scenario(
        "regional_failover",
        "Regional Failover (Optional)",
        "Secondary region passes smoke tests and is ready for DNS cutover",
        "nothing of the primary Region; a second stack stands in the standby Region",
        ("NIST CP-6", "NIST CP-7", "NIST CP-10", "ISO 27001 A.8.14", "SOC 2 A1.3", "DORA 12(3)"),
    ),
)

SCENARIOS: dict[str, Scenario] = {row.word: row for row in _ROWS}
