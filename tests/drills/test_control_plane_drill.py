"""Control Plane Loss on the whole stack, as a user runs it: green, the evidence says why, a killed run is undone."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr import stack
from pytest_envdr.sandbox import Sandbox
from pytest_envdr.sandbox.envelope.names import STATE_BUCKET, STATE_LOCKS
from tests.drills import runs
from tests.drills.stranger import Stranger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.sweep

PROVED = ("s3.GetObject", "s3.CopyObject")
"""What a recovery from versions rests on: each of these answers must have had real bytes behind it."""
CHOSEN = ("-m", "control_plane_loss")


@pytest.fixture(scope="module")
def stack_file() -> Iterator[Path]:
    """A stack of this module's own; its Terraform locks by a file."""
    with Sandbox(speed=40, tenants=2) as sandbox:
        yield sandbox.stack


def kept(stack_file: Path) -> Any:
    """The state's versions, and what the lock table has; what locks leave of themselves is left out."""
    client = Stranger(stack_file).client("s3")
    answer = client.list_object_versions(Bucket=STATE_BUCKET)
    rows = [*answer.get("Versions", []), *answer.get("DeleteMarkers", [])]
    found = sorted((row["Key"], row["VersionId"], row["IsLatest"]) for row in rows if ".tflock" not in row["Key"])
    row = stack.read(stack_file).terraform
    if row is None or row.lock != "table":
        return found
    return found, Stranger(stack_file).client("dynamodb").scan(TableName=STATE_LOCKS)["Items"]


def held(stack_file: Path, directory: Path, *which: str) -> runs.Place:
    """A run of the ways that were chosen; what is kept is as before."""
    place, before = runs.Place(directory), kept(stack_file)
    code, said = runs.ended(runs.begin(place, stack_file, *CHOSEN, *which))
    assert code == 0, said
    assert kept(stack_file) == before
    assert place.owed == []
    return place


def test_a_state_that_was_cut_off(stack_file: Path, tmp_path: Path) -> None:
    """Passed within RTO and RPO, acted out, with its runbook; every resource is in the state, and no value is told."""
    place = held(stack_file, tmp_path, "-k", "truncated")
    drill = place.drill
    assert drill["verdict"] == "passed"
    assert drill["rta_seconds"] <= drill["rto_seconds"]
    assert drill["rpa_seconds"] == 0
    assert drill["runbook"]["found"]
    for operation in PROVED:
        assert set(drill["fidelity"]["operations"][operation]) == {"acted"}
    (reference,) = place.evidence.glob("attachments/*/reference.json")
    assert "module.network.aws_vpc.this" in reference.read_text()
    password = (
        Stranger(stack_file).client("secretsmanager").get_secret_value(SecretId="envelope-prod/db")["SecretString"]
    )
    assert not [path for path in place.evidence.rglob("*") if path.is_file() and password.encode() in path.read_bytes()]


def test_a_killed_run_is_undone(stack_file: Path, tmp_path: Path) -> None:
    """SIGKILL to pytest while the stack's own state is lost and its lock is held: `envdr undo` brings it back, and
    once."""
    place, before = runs.Place(tmp_path), kept(stack_file)
    run = runs.begin(place, stack_file, *CHOSEN, "-k", "original")
    place.wait_until_down()
    run.kill()
    assert runs.ended(run)[0] == -signal.SIGKILL
    assert place.owed
    code, said = runs.envdr(place, "undo")
    assert code == 0, said
    assert place.owed == []
    assert kept(stack_file) == before
    assert "Nothing is owed." in runs.envdr(place, "undo")[1]


def test_every_way_passes(stack_file: Path, tmp_path: Path) -> None:
    """All losses on a copy, and one of the stack's own state."""
    (scenario,) = held(stack_file, tmp_path).record["scenarios"]
    assert [drill["verdict"] for drill in scenario["drills"]] == ["passed"] * 6


def test_every_way_passes_with_a_lock_table(tmp_path: Path) -> None:
    """The same where a table locks the state and has its digest: what is lost is told, but for a foreign state."""
    with Sandbox(speed=40, tenants=2, terraform_lock="table") as sandbox:
        (scenario,) = held(sandbox.stack, tmp_path).record["scenarios"]
    assert [drill["verdict"] for drill in scenario["drills"]] == ["passed"] * 6
    silent = [drill["name"] for drill in scenario["drills"] if "state.silent-loss" in str(drill["findings"])]
    assert silent == ["Recovery · foreign on the copy"]
