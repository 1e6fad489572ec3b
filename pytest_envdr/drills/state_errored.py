"""What a Terraform leaves that could not write its state: `errored.tfstate` beside the modules (aws-semantics 7.8).

While it is there unpushed, the state in the bucket is behind what was built, and no version of it will do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_envdr.drills import Finding
from pytest_envdr.errors import Refused, TerraformFailed
from pytest_envdr.terraform import state_of
from pytest_envdr.verify.state import described

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_envdr.drills import Drill
    from pytest_envdr.terraform import State

NAME = "errored.tfstate"
"""Terraform's own name for it."""


def check_written(drill: Drill, directory: Path, state: State) -> None:
    """See that no run is left whose state is not in the bucket.

    Args:
        drill: is told of a file that was pushed and never deleted.
        directory: the root module's.
        state: what the bucket has.

    Raises:
        Refused: there is one; nothing was touched.
    """
    path = directory / NAME
    if not path.is_file():
        return
    try:
        left = state_of(path.read_bytes(), where=str(path))
    except (OSError, TerraformFailed) as error:
        words = str(error).partition("\n")[0]
        raise Refused(_refusal(path, words)) from error
    if left.lineage != state.lineage or left.serial > state.serial:
        raise Refused(_refusal(path, f"it has {described(left)}, the bucket {described(state)}"))
    title = f"A {NAME} lies beside the modules, whose state is in the bucket by now"
    drill.finding(Finding("state.errored", "warning", title, str(path), "Delete it: it holds secrets in plain text."))


def _refusal(path: Path, why: str) -> str:
    return (
        f"Nothing was touched: a run of Terraform could not write its state, and left it in {NAME}: {why}.\n"
        f"Looked at: {path}\n"
        f"To go on: `terraform state push {NAME}` there, see that a plan is empty, and delete the file."
    )
