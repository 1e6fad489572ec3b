"""Tenant Bucket Recovery on the whole stack, as a user runs it: green, and the evidence says why."""

from __future__ import annotations

import json
import shlex
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.drills import runs
from tests.drills.stranger import Stranger

if TYPE_CHECKING:
    from pathlib import Path

PROVED = ("s3.CopyObject", "s3.GetObject")
"""What a recovery from versions rests on: each of these answers must have had real bytes behind it."""
COPY_LIMIT = 1000
"""Some of the seeded objects are larger, and copied as an upload of one part."""
WAYS = "emptied"
"""Enough to see the drill as a whole; `test_bucket_recovery` takes every way."""
VERSIONS, BACKED_UP = "Staging copy · emptied from versions", "Staging copy · emptied from backup"


def versions(stack_file: Path) -> dict[str, list[Any]]:
    """All versions and markers in every bucket of the account."""
    client = Stranger(stack_file).client("s3")
    found: dict[str, list[Any]] = {}
    for row in client.list_buckets()["Buckets"]:
        pages = client.get_paginator("list_object_versions").paginate(Bucket=row["Name"])
        found[row["Name"]] = [
            (one["Key"], one["VersionId"], one["IsLatest"])
            for page in pages
            for one in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        ]
    return found


@pytest.fixture(scope="module")
def held(battered_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[runs.Place, Any, Any]:
    """A run of two of the six ways, with every bucket's versions before and after."""
    place, before = runs.Place(tmp_path_factory.mktemp("bucket-drill")), versions(battered_stack)
    # The last -m holds.
    chosen = ("-m", "tenant_bucket_recovery", "-k", WAYS, "--envdr-copy-limit", str(COPY_LIMIT))
    code, said = runs.ended(runs.begin(place, battered_stack, *chosen))
    assert code == 0, said
    return place, before, versions(battered_stack)


@pytest.fixture(scope="module")
def drills(held: tuple[runs.Place, Any, Any]) -> dict[str, dict[str, Any]]:
    """The record's drills by name."""
    (scenario,) = held[0].record["scenarios"]
    return {drill["name"]: drill for drill in scenario["drills"]}


def test_the_ways_pass_and_nothing_is_left(held: tuple[runs.Place, Any, Any], drills: dict[str, Any]) -> None:
    """Both sources: passed within RTO and RPO; every bucket of the account has the versions of before."""
    place, before, after = held
    assert list(drills) == [VERSIONS, BACKED_UP]
    for drill in drills.values():
        assert drill["verdict"] == "passed"
        assert drill["rta_seconds"] <= drill["rto_seconds"]
        assert drill["rpa_seconds"] <= drill["rpo_seconds"]
        assert drill["runbook"]["found"]
    assert after == before
    assert place.owed == []


def test_recovery_was_acted_out(drills: dict[str, Any]) -> None:
    """No vacuous pass: bytes were really copied and read."""
    for operation in PROVED:
        assert set(drills[VERSIONS]["fidelity"]["operations"][operation]) == {"acted"}
    assert "acted" in drills[BACKED_UP]["fidelity"]["operations"]["backup.DescribeRestoreJob"]


def test_the_evidence_tells_what_could_not_be_kept(drills: dict[str, Any]) -> None:
    """Computed from the comparison: what AWS Backup stores otherwise is in its table alone."""
    kinds = {}
    for name in (VERSIONS, BACKED_UP):
        (table,) = (one for one in drills[name]["tables"] if one["title"] == "What could not be kept")
        kinds[name] = {row[0] for row in table["rows"]}
    assert kinds[BACKED_UP] - kinds[VERSIONS] == {"storage-class"}
    assert kinds[VERSIONS] - kinds[BACKED_UP] == {"ETag"}, "of what was uploaded"
    assert {"version id", "LastModified", "ETag", "versions", "configuration: tags"} <= kinds[VERSIONS]


def test_the_merge_plan_is_in_the_evidence(held: tuple[runs.Place, Any, Any]) -> None:
    """For every damaged key one command that a shell reads back as it was meant."""
    (path,) = (held[0].evidence / "attachments").glob("*emptied-from-versions/merge-plan.json")
    steps = json.loads(path.read_text())["steps"]
    added = [step for step in steps if step["action"] == "add"]
    assert len(added) > 20
    commands = [shlex.split(step["command"]) for step in added]
    assert {tuple(words[:3]) for words in commands} == {("aws", "s3api", "copy-object"), ("aws", "s3", "cp")}
    for step, words in zip(added, commands, strict=True):
        assert f"--key={step['key']}" in words or words[3].endswith(f"/{step['key']}")
    assert path.with_name("merge-plan.sh").read_text().startswith("#!/bin/sh\n")
    manifest = path.with_name("manifest.jsonl").read_text().splitlines()
    assert json.loads(manifest[-1])["objects"] == len(added)


def test_a_killed_run_is_undone(battered_stack: Path, tmp_path: Path) -> None:
    """SIGKILL to pytest while the tenant's bucket is empty: `envdr undo` brings every version list back, and once."""
    place, before = runs.Place(tmp_path), versions(battered_stack)
    run = runs.begin(place, battered_stack, "-m", "tenant_bucket_recovery", "-k", "emptied and versions")
    place.wait_until_down()
    run.kill()
    assert runs.ended(run)[0] == -signal.SIGKILL
    assert place.owed
    code, said = runs.envdr(place, "undo")
    assert code == 0, said
    assert place.owed == []
    assert versions(battered_stack) == before
    assert "Nothing is owed." in runs.envdr(place, "undo")[1]
