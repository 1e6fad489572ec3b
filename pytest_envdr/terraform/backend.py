"""What a Terraform is told besides its module: where its state is, its variables, its environment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_envdr.errors import MissingProgram
from pytest_envdr.settings import network_environment, search_path
from pytest_envdr.terraform import provider
from pytest_envdr.terraform.program import OLDEST_WITH_LOCK_FILE
from pytest_envdr.terraform.running import DATA

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pytest_envdr.stack import Credentials, Stack
    from pytest_envdr.tables import Terraform
    from pytest_envdr.terraform.program import Program

FILE = "backend.tfvars.json"
CLI_FILE = "terraform.rc"
VARIABLES = "variables"
"""The directory in the working directory with the variables files, in the order in which they are given."""
WORKSPACE = "TF_WORKSPACE"
"""The variable that names the workspace."""
NOWHERE = "http://127.0.0.1:9"
"""A proxy that is none: with an endpoint of the stack's own, no request goes anywhere else."""


def check_lock(row: Terraform, found: Program) -> None:
    """Refuse a Terraform that does not know the lock that the state has.

    Raises:
        MissingProgram: it is too old.
    """
    if row.locked_by_file and found.version < OLDEST_WITH_LOCK_FILE:
        needed = ".".join(map(str, OLDEST_WITH_LOCK_FILE[:2]))
        why = f"is too old: a state that is locked by a file in its bucket needs {needed} or later"
        raise MissingProgram.terraform(found.name, why=why)


def write(work: Path, stack: Stack, row: Terraform, files: Iterable[Path], variables: Mapping[str, Any]) -> None:
    """The files that the commands are told of.

    Raises:
        MissingProgram: the provider from pip is not to be had.
    """
    (work / FILE).write_text(json.dumps(_settings(stack, row), indent=2))
    (work / CLI_FILE).write_text(_cli(work, row))
    given = work / VARIABLES
    given.mkdir(exist_ok=True)
    for old in given.iterdir():
        old.unlink()
    for number, file in enumerate(files):
        ending = ".tfvars.json" if file.name.endswith(".json") else ".tfvars"
        (given / f"{number:03}{ending}").symlink_to(file.absolute())  # it may hold secrets: no copy of it is left
    (given / "999.tfvars.json").write_text(json.dumps(dict(variables), indent=2))


def variables(work: Path) -> list[Path]:
    """The variables files; a later one holds over those before it."""
    return sorted((work / VARIABLES).iterdir())


def data(work: Path) -> str:
    """Where Terraform keeps providers and modules: no two working directories have the same."""
    return str(work / "data")


def environment(work: Path, stack: Stack, row: Terraform, credentials: Credentials) -> dict[str, str]:
    """All that the program finds in its environment."""
    values = {
        "PATH": search_path(),
        DATA: data(work),
        "TF_CLI_CONFIG_FILE": str(stack.beside(row.cli_config) if row.cli_config else work / CLI_FILE),
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
    }
    if credentials.session_token:
        values["AWS_SESSION_TOKEN"] = credentials.session_token
    if row.workspace != "default":
        values[WORKSPACE] = row.workspace
    return values | (_closed(stack.endpoint) if stack.endpoint and row.providers == "wheel" else network_environment())


def _closed(endpoint: str) -> dict[str, str]:
    host = urlsplit(endpoint).hostname or ""
    return {"HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE, "NO_PROXY": host, "HOME": "/nonexistent"}


def _settings(stack: Stack, row: Terraform) -> dict[str, Any]:
    settings: dict[str, Any] = {"bucket": row.bucket, "key": row.key, "region": row.region or stack.region}
    if row.workspace != "default":
        settings["workspace_key_prefix"] = row.workspace_prefix
    if row.locked_by_file:
        settings["use_lockfile"] = True
    if row.locked_by_table:
        settings["dynamodb_table"] = row.lock_table
    if stack.endpoint:
        skipped = ("credentials_validation", "metadata_api_check", "requesting_account_id", "region_validation")
        settings |= {f"skip_{name}": True for name in skipped}
        settings |= {
            "endpoints": dict.fromkeys(("s3", "dynamodb", "sts", "iam"), stack.endpoint),
            "use_path_style": True,
        }
    return settings | row.backend


def _cli(work: Path, row: Terraform) -> str:
    """Where providers come from: from pip alone, or as Terraform itself finds them."""
    if row.providers == "registry":
        return ""
    place = json.dumps(str(provider.mirror(work)))
    return f"provider_installation {{\n  filesystem_mirror {{\n    path = {place}\n  }}\n}}\n"
