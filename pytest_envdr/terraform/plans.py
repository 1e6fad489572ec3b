"""A plan as typed values, from `terraform show -json`: exit codes tell too little (aws-semantics 7.5)."""

from __future__ import annotations

import json
import os
import secrets
import sys
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    # Values may be secrets, and are kept out of what is printed: `differing` names what is not the same.

UNCHANGING = frozenset({("no-op",), ("read",)})
"""The actions that change nothing."""


@dataclass(frozen=True)
class Change:
    """What a plan does to a resource, or what was found changed outside of Terraform.

    Attributes:
        address: "module.network.aws_vpc.this".
        type: "aws_vpc".
        actions: "no-op", "read", "create", "update", "delete", or two of them for a replacement.
        differing: the names of the attributes that are not the same before and after, or not known yet.
        before, after: the attributes; empty where it is not there. They hold secrets: no evidence may.
        importing: the id that it is imported by; "" where it is not.
    """

    address: str
    type: str
    actions: tuple[str, ...]
    differing: tuple[str, ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict, repr=False)
    after: Mapping[str, Any] = field(default_factory=dict, repr=False)
    importing: str = ""

    @property
    def changes(self) -> bool:
        """Whether anything is done."""
        return self.actions not in UNCHANGING

    def __str__(self) -> str:
        names = f" ({', '.join(self.differing)})" if self.differing and self.actions == ("update",) else ""
        return f"{self.address}: {' and '.join(self.actions)}{names}"


class PlanFile:
    """Where Terraform puts a plan for as long as this object lives. It holds secrets in plain text: on Linux it is in
    memory only, and goes with this process however that ends; elsewhere it is in the working directory, and stays there
    where this process is killed.

    Attributes:
        path: how Terraform, as a child of this process, opens it.
    """

    path: Path

    def __init__(self, work: Path) -> None:
        if sys.platform == "linux":
            held = os.memfd_create("plan")
            self.path = Path(f"/proc/{os.getpid()}/fd/{held}")
            weakref.finalize(self, os.close, held)
        else:
            self.path = work / f"plan-{secrets.token_hex(4)}"
            weakref.finalize(self, self.path.unlink, missing_ok=True)


@dataclass(frozen=True)
class Plan:
    """What Terraform would do.

    Attributes:
        file: the plan file, which is what is applied.
        resources: every resource of the plan, those that nothing is done to among them.
        drift: what was found changed outside of Terraform since it wrote its state, whether or not anything is done.
        outputs: the names of the outputs that would change, and how.
        terraform: the version that made it.
        told: all that `terraform show -json` says of it, secrets and all.
    """

    file: PlanFile = field(repr=False, compare=False)
    resources: tuple[Change, ...]
    drift: tuple[Change, ...]
    outputs: Mapping[str, tuple[str, ...]]
    terraform: str
    told: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def changes(self) -> tuple[Change, ...]:
        """What something would be done to."""
        return tuple(change for change in self.resources if change.changes)

    def __str__(self) -> str:
        return "\n".join(map(str, self.changes)) or "no change"


def plan_of(file: PlanFile, shown: bytes) -> Plan:
    """The plan that `terraform show -json` tells of."""
    told = json.loads(shown)
    outputs = {name: tuple(row["actions"]) for name, row in told.get("output_changes", {}).items()}
    return Plan(
        file,
        _changes(told.get("resource_changes", [])),
        _changes(told.get("resource_drift", [])),
        {name: actions for name, actions in outputs.items() if actions not in UNCHANGING},
        str(told["terraform_version"]),
        told,
    )


def _changes(rows: Sequence[Mapping[str, Any]]) -> tuple[Change, ...]:
    return tuple(_change(row) for row in rows)


def _change(row: Mapping[str, Any]) -> Change:
    change = row["change"]
    before, after = change.get("before") or {}, change.get("after") or {}
    unknown = change.get("after_unknown")
    later = {name for name, value in unknown.items() if value} if isinstance(unknown, dict) else set()
    differing = {name for name in {*before, *after} if before.get(name) != after.get(name)} | later
    return Change(
        str(row["address"]),
        str(row["type"]),
        tuple(change["actions"]),
        tuple(sorted(differing)),
        before,
        after,
        str((change.get("importing") or {}).get("id", "")),
    )
