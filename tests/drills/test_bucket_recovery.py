"""The drill on a bucket with keys of every kind and an object that is copied in parts: green, and put back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.drills.bucket_rig import MEGABYTE, Rig, rigged, whole

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """S3 and AWS Backup, for this module."""
    with rigged(tmp_path_factory.mktemp("buckets"), region="eu-north-1", network="127.231.0.0/16") as rig:
        yield rig


@pytest.mark.parametrize(("damage", "source"), [("overwritten", "versions"), ("emptied", "backup")])
def test_green(rig: Rig, damage: Any, source: Any) -> None:
    """Recovered beside with all that is stored with an object, merged, and then every version is as it was before."""
    bucket = rig.bucket(large=source == "versions")
    if source == "backup":
        rig.backed_up(bucket)
    before, seen = rig.versions(bucket), rig.current(bucket)
    with rig.copied(bucket, damage=damage, source=source, copy_limit=5 * MEGABYTE) as ran:
        assert ran.copy is not None
        assert rig.current(bucket) != seen
        whole(ran)
        assert ran.copy.staging is not None
        assert rig.current(ran.copy.staging.bucket) == seen
        assert rig.current(bucket) == seen
    assert ran.failures == []
    assert ran.merge.differences == ()
    assert set(ran.plan.keys("add", "replace")) == set(ran.copy.damage)
    assert ran.plan.keys("conflict") == []
    assert ran.drill.actuals.rta_seconds is not None
    assert ran.drill.rpa_seconds is not None
    assert rig.versions(bucket) == before
    assert rig.left() == []
    if source == "backup":
        jobs = rig.served.client("backup").list_restore_jobs()["RestoreJobs"]
        assert {job["ValidationStatus"] for job in jobs} == {"SUCCESSFUL"}
