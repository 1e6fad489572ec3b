"""What keeps Control Plane Loss from beginning keeps no other scenario of the same session from it."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.sandbox import Sandbox
from pytest_envdr.sandbox.envelope.names import STATE_BUCKET, STATE_KEY
from tests.drills import runs
from tests.drills.stranger import Stranger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.sweep

BOTH = ("-m", "control_plane_loss or ecs_failover", "-k", "truncated or (self_healing and hq)")
"""A way of the one, and of the other the quickest."""
OLD = '#!/bin/sh\necho \'{"terraform_version": "1.5.7"}\'\n'
LOCK = '{"ID": "theirs", "Who": "ada@ci", "Operation": "OperationTypeApply", "Created": "today"}'
EMPTY_MIRROR = 'provider_installation {{\n  filesystem_mirror {{\n    path = "{}"\n  }}\n}}\n'


@dataclass
class Attempt:
    """A run that is about to be made.

    Attributes:
        stack_file: the sandbox's own.
        directory: for what the run is given.
        row: what `[terraform]` says besides, or otherwise.
        arguments: more of pytest's.
        path: its PATH; "" for that of this process.
    """

    stack_file: Path
    directory: Path
    row: dict[str, str] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    path: str = ""

    @property
    def s3(self) -> Any:
        """A client without the guard."""
        return Stranger(self.stack_file).client("s3")

    def written(self) -> Path:
        """The stack file that the run is given."""
        head, table, rest = self.stack_file.read_text().partition("[terraform]\n")
        own, bracket, others = rest.partition("\n[")
        for key, value in self.row.items():
            own = re.sub(rf"(?m)^{key} = .*\n?", "", own) + f'\n{key} = "{value}"\n'
        path = self.directory / "stack.toml"
        path.write_text(head + table + own + bracket + others)
        path.chmod(0o600)
        return path


@contextmanager
def no_terraform(attempt: Attempt) -> Iterator[None]:
    """Neither on PATH nor from pip."""
    attempt.path = "/usr/bin:/bin"
    attempt.arguments += ["-p", "tests.drills.without_terraform"]
    yield


@contextmanager
def too_old(attempt: Attempt) -> Iterator[None]:
    """A Terraform of before `import` blocks."""
    program = attempt.directory / "terraform"
    program.write_text(OLD)
    program.chmod(0o755)
    attempt.row["program"] = str(program)
    yield


@contextmanager
def no_provider(attempt: Attempt) -> Iterator[None]:
    """A mirror that has none, and nowhere else to look."""
    mirror, file = attempt.directory / "mirror", attempt.directory / "terraform.rc"
    mirror.mkdir()
    file.write_text(EMPTY_MIRROR.format(mirror))
    attempt.row |= {"providers": "registry", "cli_config": str(file)}
    yield


@contextmanager
def held(attempt: Attempt) -> Iterator[None]:
    """Somebody's apply runs."""
    where = {"Bucket": STATE_BUCKET, "Key": f"{STATE_KEY}.tflock"}
    attempt.s3.put_object(**where, Body=LOCK)
    yield
    assert attempt.s3.get_object(**where)["Body"].read().decode() == LOCK, "it is theirs, and stays"
    attempt.s3.delete_object(**where)


@contextmanager
def unversioned(attempt: Attempt) -> Iterator[None]:
    """Somebody suspended the bucket's versioning."""
    _version(attempt, "Suspended")
    yield
    _version(attempt, "Enabled")


def _version(attempt: Attempt, status: str) -> None:
    attempt.s3.put_bucket_versioning(Bucket=STATE_BUCKET, VersioningConfiguration={"Status": status})


@contextmanager
def unwritten(attempt: Attempt) -> Iterator[None]:
    """An apply could not write its state."""
    (place,) = re.findall(r'(?m)^directory = "(.*)"$', attempt.stack_file.read_text().partition("[terraform]")[2])[:1]
    left = Path(place) / "errored.tfstate"
    left.write_text("{}")
    yield
    left.unlink()


CASES: dict[str, tuple[Callable[[Attempt], Any], str]] = {
    "no Terraform": (no_terraform, "Terraform cannot be run: terraform not found"),
    "a Terraform too old": (too_old, r"is Terraform 1\.5\.7; 1\.6 or later is needed"),
    "no provider": (no_provider, r"Nothing was touched: [\s\S]*hashicorp/aws"),
    "a lock that somebody holds": (held, "is locked: lock theirs of ada@ci, OperationTypeApply, today"),
    "no versioning": (unversioned, f"versioning of bucket {STATE_BUCKET} is Suspended"),
    "a state that was not written": (unwritten, r"could not write its state, and left it in errored\.tfstate"),
}


@pytest.fixture(scope="module")
def stack_file() -> Iterator[Path]:
    """A stack of this module's own."""
    with Sandbox(speed=40, tenants=2) as sandbox:
        yield sandbox.stack


@pytest.mark.parametrize("case", CASES)
def test_the_others_run_in_the_same_session(
    stack_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """Control Plane Loss is refused, with its reason in what pytest says and in the record, and owes nothing; the
    services' scenario of the same session passes."""
    prepare, words = CASES[case]
    attempt, place = Attempt(stack_file, tmp_path), runs.Place(tmp_path)
    with prepare(attempt):
        with monkeypatch.context() as changed:
            if attempt.path:
                changed.setenv("PATH", attempt.path)
            run = runs.begin(place, attempt.written(), *BOTH, *attempt.arguments)
        code, said = runs.ended(run)
    assert code == 1, said
    assert re.search(words, said), said
    verdicts = {row["scenario"]: [drill["verdict"] for drill in row["drills"]] for row in place.record["scenarios"]}
    assert verdicts["ecs_failover"] == ["passed"], said
    assert len(verdicts["control_plane_loss"]) == 1
    assert verdicts["control_plane_loss"] != ["passed"]
    assert not [call for call in place.changes if call.startswith(("s3.", "dynamodb."))]
    assert place.owed == []
