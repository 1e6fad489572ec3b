"""The provisioner as it was before anything was touched, and whether it is fit to be kept from its work.

And the reconciliation of all tenants with all buckets, both ways: what no metric tells, this does.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from pytest_envdr import founding, swaps
from pytest_envdr.aws import awslambda, events, s3, sqs
from pytest_envdr.drills import Finding
from pytest_envdr.drills.tenancy import Tenant, tenants
from pytest_envdr.errors import NotFound, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.tables import Provisioner


@dataclass(frozen=True)
class Settings:
    """All that decides whether an event reaches the function, and where it goes that does not.

    Attributes:
        function: Lambda's.
        reserved: its reserved concurrency; None for none, which is not 0.
        asynchronous: how events are dealt with that it fails of.
        permissions: who may invoke it.
        rule, targets: EventBridge's.
        archive: None where there is none.
        depths: how many messages each dead-letter queue holds.
    """

    function: awslambda.Function
    reserved: int | None
    asynchronous: awslambda.AsyncConfig
    permissions: tuple[awslambda.Permission, ...]
    rule: events.Rule
    targets: tuple[events.Target, ...]
    archive: events.Archive | None
    depths: Mapping[str, int] = field(compare=False)

    @property
    def as_json(self) -> str:
        """All of it, for the evidence."""
        return json.dumps(asdict(self), indent=2, default=str)

    @property
    def dead_letters(self) -> str:
        """Where the function's events go that it fails of: the name of a queue, "" for none."""
        named = self.function.dead_letters or self.asynchronous.on_failure
        return named.rpartition(":")[2] if ":sqs:" in named else ""

    def undelivered(self, row: Provisioner) -> str:
        """Where the rule's events go that it cannot deliver: the name of a queue, "" for none."""
        named = next((target.dead_letters for target in self.targets if target.id == row.target), "")
        return named.rpartition(":")[2]

    def differences(self, now: Settings) -> list[str]:
        """What is not as before, in words."""
        names = ("function", "reserved", "asynchronous", "permissions", "rule", "targets", "archive")
        return [
            f"{name} was {getattr(self, name)}, is {getattr(now, name)}"
            for name in names
            if getattr(self, name) != getattr(now, name)
        ]


@dataclass(frozen=True)
class Reconciled:
    """Tenants whose bucket is not there, and buckets that are no tenant's."""

    without_bucket: tuple[Tenant, ...]
    without_tenant: tuple[str, ...]

    def missing(self, slug: str) -> bool:
        """Whether a tenant is among those without a bucket."""
        return any(tenant.slug == slug for tenant in self.without_bucket)


def settings(aws: Aws, row: Provisioner) -> Settings:
    """The provisioner as it is now.

    Raises:
        NotFound: there is no such function, rule or archive, or no such queue.
    """
    return Settings(
        function=awslambda.function(aws, row.function),
        reserved=awslambda.concurrency(aws, row.function),
        asynchronous=awslambda.async_config(aws, row.function),
        permissions=tuple(sorted(awslambda.permissions(aws, row.function), key=lambda one: one.sid)),
        rule=events.rule(aws, row.rule, row.bus),
        targets=tuple(events.targets(aws, row.rule, row.bus)),
        archive=events.archive(aws, row.archive) if row.archive else None,
        depths={name: sqs.depth(aws, name) for name in (row.dead_letters, row.undelivered) if name},
    )


def check_fit(aws: Aws, drill: Drill) -> Settings:
    """The provisioner before anything is touched, or a refusal.

    Raises:
        StackFileError: the stack file lacks `[provisioner]` or `[database]`.
        Refused: it is not there, is not at work, or the drill has no objective.
    """
    drill.check_objective()
    aws.stack.needs("database")
    row = founding.row(aws.stack)
    try:
        found = settings(aws, row)
    except NotFound as error:
        raise Refused(f"Nothing was touched: {error}") from error
    if reason := _idle(row, found):
        raise Refused(
            f"Nothing was touched: {row.function} is kept from its work already: {reason}. New tenants get no bucket.\n"
            f"Looked at: {aws.origin(row.function)}\nTo go on: mend that first."
        )
    drill.attach("settings-before.json", found.as_json, media_type="application/json")
    drill.table("The provisioner before", ("what", "as it was"), _rows(row, found))
    for finding in _check_letters(row, found):
        drill.finding(finding)
    return found


def reconcile(aws: Aws, row: Provisioner, *, but: str = "") -> Reconciled:
    """All tenants against all buckets; names of buckets that have `but` in them are left out.

    Raises:
        EnvdrError: the central database cannot be asked.
    """
    aws.stack.needs("database")
    database = aws.stack.database
    if database is None:  # for the type checker: `needs` refused it
        raise Refused("The stack file has no [database].")
    everyone = tenants(swaps.server(aws), database)
    there = set(s3.buckets(aws))
    prefix = row.bucket.partition("{slug}")[0]
    theirs = {tenant.bucket for tenant in everyone}
    lost = sorted(name for name in there - theirs if name.startswith(prefix) and not (but and but in name))
    return Reconciled(tuple(tenant for tenant in everyone if tenant.bucket not in there), tuple(lost))


def tell(drill: Drill, found: Reconciled, *, when: str) -> None:
    """Both lists, in the report."""
    rows = [("tenant without bucket", tenant.slug, tenant.bucket or "none noted") for tenant in found.without_bucket]
    rows += [("bucket without tenant", "", name) for name in found.without_tenant]
    drill.table(f"Tenants and buckets {when}", ("what", "tenant", "bucket"), rows, caption="of all tenants, both ways")


def reference(aws: Aws, row: Provisioner) -> Tenant:
    """The tenant whose bucket is as all are to be.

    Raises:
        Refused: there is no such tenant, or its bucket is not the account's.
    """
    aws.stack.needs("database")
    if aws.stack.database is None:  # for the type checker: `needs` refused it
        raise Refused("The stack file has no [database].")
    everyone = tenants(swaps.server(aws), aws.stack.database)
    wanted = [tenant for tenant in everyone if row.reference in ("", tenant.slug) and tenant.bucket]
    if not wanted or wanted[0].bucket not in s3.buckets(aws, prefix=wanted[0].bucket):
        named = f"tenant {row.reference}" if row.reference else "the first tenant"
        raise Refused(
            f"Nothing was touched: {named} has no bucket, so there is none that a new one is to be like.\n"
            f"Looked at: provisioner.reference in {aws.stack.path}"
        )
    return wanted[0]


def _idle(row: Provisioner, found: Settings) -> str:
    if found.reserved == 0:
        return "its reserved concurrency is 0"
    if not found.rule.enabled:
        return f"rule {row.rule} is {found.rule.state}"
    if not any(target.id == row.target and target.arn.startswith(found.function.arn) for target in found.targets):
        return f"rule {row.rule} has no target {row.target} that is the function"
    if not any(permission.sid == row.statement for permission in found.permissions):
        return f"its policy has no statement {row.statement} that lets the rule in"
    return "" if found.function.ready else f"it is {found.function.state}, its update {found.function.update}"


def _check_letters(row: Provisioner, found: Settings) -> list[Finding]:
    """What would go nowhere."""
    findings = []
    if not (found.function.dead_letters or found.asynchronous.on_failure):
        findings.append(
            Finding(
                "events.no-dead-letters",
                "warning",
                f"what {row.function} fails of goes nowhere: it has neither a dead-letter queue nor a destination",
                "with a reserved concurrency of 0, events are dropped at once",
                "Give it a DeadLetterConfig, or a destination on failure.",
            )
        )
    if not found.undelivered(row):
        title = f"what rule {row.rule} cannot deliver to {row.function} goes nowhere"
        findings.append(Finding("events.no-dead-letters", "warning", title, "", "Give its target a DeadLetterConfig."))
    if found.archive is None:
        title = f"no archive keeps the events of bus {row.bus}: what comes while the rule is disabled is lost"
        findings.append(Finding("events.no-archive", "warning", title, "", "Create an archive of the bus."))
    return findings


def _rows(row: Provisioner, found: Settings) -> list[tuple[str, str]]:
    config = found.asynchronous
    return [
        ("code", found.function.code_sha256),
        ("handler", found.function.handler),
        ("reserved concurrency", "none" if found.reserved is None else str(found.reserved)),
        ("retries", "AWS's own" if config.retries is None else str(config.retries)),
        ("what it fails of", found.function.dead_letters or config.on_failure or "is dropped"),
        ("rule", f"{found.rule.name} of {found.rule.bus}: {found.rule.state}"),
        ("may invoke it", ", ".join(permission.sid for permission in found.permissions)),
        ("what cannot be delivered", found.undelivered(row) or "is dropped"),
        ("archive", found.archive.name if found.archive else "none"),
        *((f"messages in {name}", str(depth)) for name, depth in found.depths.items()),
    ]
