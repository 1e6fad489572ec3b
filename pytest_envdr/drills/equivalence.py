"""Whether a restored instance is configured as its source, but for what is declared to be otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_envdr.aws import rds
from pytest_envdr.drills import Finding
from pytest_envdr.drills.restores import CHANGED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.restores import Aside

COMPARED: Mapping[str, str] = {
    "engine": "engine",
    "engine_version": "engine version",
    "instance_class": "instance class",
    "storage_type": "storage type",
    "allocated_gib": "storage, GiB",
    "iops": "IOPS",
    "throughput": "storage throughput",
    "multi_az": "Multi-AZ",
    "encrypted": "encrypted",
    "kms_key": "KMS key",
    "certificate": "CA certificate",
    "log_exports": "log exports",
    "option_group": "option group",
    "subnet_group": "subnet group",
    "vpc": "VPC",
    "network_type": "network type",
    "master_user": "master user",
    "port": "port",
    "copies_tags": "copies tags to snapshots",
    "minor_upgrades": "minor version upgrades",
    "iam_authentication": "IAM authentication",
}
"""What must be as in the source: attribute of `rds.Instance` -> its name in the report."""
LATER: Mapping[str, str] = {
    "monitoring_seconds": "enhanced monitoring, s",
    "performance_insights": "Performance Insights",
    "max_allocated_gib": "storage autoscaling up to, GiB",
}
"""What no restore takes: to be set by ModifyDBInstance before a copy takes the source's place."""


@dataclass(frozen=True)
class Difference:
    """One thing that is configured otherwise; `declared` says why it may be, "" where it may not."""

    what: str
    source: str
    restored: str
    declared: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.restored}, not {self.source}"


def check_configuration(aws: Aws, drill: Drill, source: rds.Instance, aside: Aside) -> list[Difference]:
    """What is configured otherwise and is not declared; each is a finding. All differences are a table of the report.

    Raises:
        NotFound: the copy is gone.
    """
    restored = rds.instance(aws, aside.identifier)
    differences = [
        *_plain(source, restored),
        *_declared(source, restored, aside),
        *_parameters(aws, source, restored),
        *_not_in_effect(restored),
    ]
    rows = [(one.what, one.source, one.restored, one.declared or "NOT DECLARED") for one in differences]
    drill.table(
        "Configuration",
        ("what", source.identifier, aside.identifier, "declared because"),
        rows,
        caption=f"{len(COMPARED)} settings and all parameters were compared; these differ.",
    )
    undeclared = [one for one in differences if not one.declared]
    for one in undeclared:
        drill.finding(
            Finding(
                "database.configuration",
                "failure",
                f"{aside.identifier} is not configured as {source.identifier}: {one.what}",
                f"{one.restored}, and was to be {one.source}",
                "Pass it to the restore: AWS chooses by itself what it is not told.",
            )
        )
    return undeclared


def _plain(source: rds.Instance, restored: rds.Instance) -> list[Difference]:
    found = []
    for attribute, what in COMPARED.items():
        was, now = getattr(source, attribute), getattr(restored, attribute)
        if was != now:
            found.append(Difference(what, _shown(was), _shown(now)))
    for attribute, what in LATER.items():
        was, now = getattr(source, attribute), getattr(restored, attribute)
        if was != now:
            found.append(Difference(what, _shown(was), _shown(now), "a restore takes it not: set it before a cutover"))
    return found


def _declared(source: rds.Instance, restored: rds.Instance, aside: Aside) -> list[Difference]:
    """What shall differ, and how: each of these must be exactly as declared."""
    wanted = (
        (
            "security groups",
            source.security_groups,
            restored.security_groups,
            (aside.group,),
            "reached by the drill alone",
        ),
        ("parameter group", source.parameter_group, restored.parameter_group, aside.identifier, "events do not run"),
        ("backup retention, days", source.retention_days, restored.retention_days, 0, "a copy is not backed up"),
        ("deletion protection", source.deletion_protection, restored.deletion_protection, False, "it goes again"),
        ("public", source.public, restored.public, False, "a copy is never public"),
        ("tags", dict(source.tags), _own(restored.tags), aside.tags, "nothing may take a copy for the source"),
    )
    found = []
    for what, was, now, declared, why in wanted:
        if now != declared:
            found.append(Difference(what, f"{_shown(declared)} (declared)", _shown(now)))
        elif now != was:
            found.append(Difference(what, _shown(was), _shown(now), why))
    return found


def _parameters(aws: Aws, source: rds.Instance, restored: rds.Instance) -> list[Difference]:
    """The parameters themselves: a group of another name may say the same, and one of the same name may not."""
    was, now = rds.own_parameters(aws, source.parameter_group), rds.own_parameters(aws, restored.parameter_group)
    found = []
    for name in sorted(was.keys() | now.keys() | CHANGED.keys()):
        before, after = was.get(name, "(default)"), now.get(name, "(default)")
        if _same(after, CHANGED.get(name, before)):
            if not _same(before, after):
                found.append(Difference(f"parameter {name}", before, after, "events of restored data do not run"))
        else:
            found.append(Difference(f"parameter {name}", CHANGED.get(name, before), after))
    return found


def _not_in_effect(restored: rds.Instance) -> list[Difference]:
    """What is configured and does not hold yet (aws-semantics 1.3)."""
    groups = (*restored.parameter_groups, *restored.option_groups)
    found = [
        Difference(f"{group.name} in effect", "in-sync", group.status) for group in groups if group.status != "in-sync"
    ]
    if restored.pending:
        found.append(Difference("pending modifications", "none", ", ".join(restored.pending)))
    return found


def _same(one: str, other: str) -> bool:
    """Whether two values of a parameter are the same: OFF is 0."""
    words = {"off": "0", "on": "1"}
    return words.get(one.lower(), one) == words.get(other.lower(), other)


def _own(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags without those that AWS alone can set and take away."""
    return {key: value for key, value in tags.items() if not key.startswith("aws:")}


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={text}" for key, text in sorted(value.items())) or "none"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value in (None, "") else str(value)
