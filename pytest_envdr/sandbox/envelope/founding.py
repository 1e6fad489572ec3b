"""The state of the stack's Terraform, as if Terraform had built what the seed built.

Terraform itself reads every seeded resource, by `import` blocks in a plan, through the provider; what the plan says
they will be is what the state says that they are. Nothing is applied: making the state changes nothing of the stack,
and what somebody has changed by then is drift from the start.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from botocore.exceptions import ClientError

from pytest_envdr import stack
from pytest_envdr.errors import TerraformFailed
from pytest_envdr.sandbox.control_plane.s3 import filling
from pytest_envdr.sandbox.control_plane.s3.filling import Item
from pytest_envdr.sandbox.envelope import imports
from pytest_envdr.sandbox.envelope.names import STATE_BUCKET, STATE_KEY, STATE_LOCKS
from pytest_envdr.terraform import Terraform

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pytest_envdr.sandbox.envelope.account import Account
    from pytest_envdr.terraform import Plan

LOCAL = 'terraform {\n  backend "local" {}\n}\n'
"""An override of the modules' own backend, which is what is being made."""
LATEST = "module.monitoring"
"""What was added last: an older version of the state does not know it."""


def found(account: Account) -> None:
    """Make the state, with an older version before it.

    Raises:
        EnvdrError: there is no Terraform, or no provider; or a seeded resource is no longer there.
    """
    plan = _read(account)
    if missing := [str(change) for change in plan.changes if change.actions != ("update",)]:
        raise TerraformFailed(f"The modules describe what is not there: {', '.join(missing)}.")
    lineage, rows = str(uuid4()), list(_resources(plan.told))
    older = [row for row in rows if not str(row.get("module", "")).startswith(LATEST)]
    bodies = [_state(plan, lineage, serial, some) for serial, some in ((1, older), (2, rows))]
    headers = {"Content-Type": "application/json"}
    filling.put(account.world, STATE_BUCKET, [Item(STATE_KEY, body, headers) for body in bodies])
    if account.world.terraform_lock == "table":
        digest = hashlib.md5(bodies[-1], usedforsecurity=False).hexdigest()
        item = {"LockID": {"S": f"{STATE_BUCKET}/{STATE_KEY}-md5"}, "Digest": {"S": digest}}
        account.client("dynamodb").put_item(TableName=STATE_LOCKS, Item=item)


def _read(account: Account) -> Plan:
    """A plan that imports all that was seeded; its directory is left behind for whoever looks for a fault."""
    described = stack.read(account.world.directory / "stack.toml")
    row, credentials = described.terraform, described.credentials
    if row is None or credentials is None:
        raise TerraformFailed(f"The sandbox's stack file has no [terraform].\nLooked at: {described.path}")
    work = account.world.directory / "founding"
    modules = work / "modules"
    shutil.copytree(row.directory, modules)
    blocks = [{"to": address, "id": identifier} for address, identifier in _ids(account).items()]
    (modules / "imports.tf.json").write_text(json.dumps({"import": blocks}))
    (modules / "backend_override.tf").write_text(LOCAL)
    here = row.model_copy(update={"directory": str(modules), "bucket": ""})
    terraform = Terraform.opened(described, credentials, work, row=here)
    terraform.init()
    return terraform.plan()


def _ids(account: Account) -> dict[str, str]:
    try:
        return imports.ids(account)
    except (ClientError, KeyError, ValueError, StopIteration) as error:
        raise TerraformFailed(f"A resource that was seeded is not found any more: {error}.") from error


def _state(plan: Plan, lineage: str, serial: int, rows: Iterable[Mapping[str, Any]]) -> bytes:
    outputs = {
        name: {key: row[key] for key in ("value", "type")} | ({"sensitive": True} if row.get("sensitive") else {})
        for name, row in plan.told["planned_values"].get("outputs", {}).items()
    }
    state = {
        "version": 4,
        "terraform_version": plan.terraform,
        "serial": serial,
        "lineage": lineage,
        "outputs": outputs,
        "resources": list(rows),
        "check_results": None,
    }
    return (json.dumps(state, indent=2) + "\n").encode()


def _resources(told: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The plan's resources as a state has them: the instances of one resource together."""
    versions = {row["address"]: int(row["schema_version"]) for row in _planned(told["planned_values"]["root_module"])}
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in told["resource_changes"]:
        if row["mode"] != "managed":
            continue
        module = {"module": row["module_address"]} if "module_address" in row else {}
        resource = found.setdefault(
            (row.get("module_address", ""), row["type"], row["name"]),
            module
            | {
                "mode": "managed",
                "type": row["type"],
                "name": row["name"],
                "provider": f'provider["{row["provider_name"]}"]',
                "instances": [],
            },
        )
        resource["instances"].append(_instance(row, versions[row["address"]]))
    yield from found.values()


def _instance(row: Mapping[str, Any], version: int) -> dict[str, Any]:
    change = row["change"]
    index = {"index_key": row["index"]} if "index" in row else {}
    sensitive = change["after_sensitive"] or {}
    unknown = [name for name, value in change["after_unknown"].items() if value is True]
    return index | {
        "schema_version": version,
        "attributes": change["after"] | {name: change["before"][name] for name in unknown},
        "sensitive_attributes": [
            [{"type": "get_attr", "value": name}] for name, is_so in sensitive.items() if is_so is True
        ],
    }


def _planned(module: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from _planned(child)
