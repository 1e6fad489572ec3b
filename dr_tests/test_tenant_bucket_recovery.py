"""Tenant Bucket Recovery: restore a tenant's S3 data to a staging bucket and validate object integrity.

1. Kick-off: see that the tenant's bucket is the account's own, versioned, and not locked against the drill itself; save
   a manifest of all objects with what is stored with them, all versions, and the bucket's configuration; refuse where
   there is nothing to lose, or nothing to recover from.
2. Trigger: objects are deleted or written over, or the whole bucket is emptied.
3. Observe: a reader sees every one of them gone or changed.
4. Recover: make a staging bucket configured like the original, under a policy for its own name; copy the versions from
   before, pinned, in parts where they are large, or let AWS Backup restore its newest recovery point; lifecycle and
   notifications last.
5. Validate: hold the staging bucket against the manifest: contents, metadata, tags, storage class, encryption, ACLs,
   and the configuration. What this way of recovery cannot keep is listed from that comparison, and so is what was
   written after the recovery point.
6. Document: recovery time and recovery point against their objectives; a merge plan with reason and command for every
   key; where approved it is applied, and the original is what it was. Then every version is as before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.buckets import TenantBucketCopy

pytestmark = pytest.mark.tenant_bucket_recovery

WAYS = [(damage, source) for source in ("versions", "backup") for damage in ("deleted", "overwritten", "emptied")]


@pytest.mark.parametrize("tenant_bucket_copy", WAYS, ids=" from ".join, indirect=True)
def test_staging_copy(drill: Drill, tenant_bucket_copy: TenantBucketCopy) -> None:
    """A tenant's objects are lost. All of them come back in a staging bucket with all that was stored with them,
    policies and tags preserved, within RTO and RPO; documented steps merge them into the original, and only them."""
    with drill.phase("observe"):
        tenant_bucket_copy.wait_until_seen()

    with drill.phase("recover"):
        staging = tenant_bucket_copy.recover()
        assert staging.refused == {}

    with drill.phase("validate"):
        checked = tenant_bucket_copy.check()

    with drill.phase("document"):
        plan = tenant_bucket_copy.plan()
        merge = tenant_bucket_copy.merge()

        assert checked.failures == []
        assert plan.keys("conflict") == []
        assert merge is None or merge.differences == ()
        assert drill.failures == []
        assert drill.rpa_seconds is not None
        assert drill.rpa_seconds <= drill.rpo_of(tenant_bucket_copy.source)
        assert drill.actuals.rta_seconds is not None
        assert drill.actuals.rta_seconds <= drill.rto_seconds
