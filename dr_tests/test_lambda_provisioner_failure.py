"""Lambda Provisioner Failure: a tenant is created while the provisioner is disabled; its bucket is made by hand.

1. Kick-off: record the function's reserved concurrency (none is not 0), its asynchronous configuration, its policy, the
   rule, and how many messages the dead-letter queues hold; hold all tenants against all buckets, both ways; see that
   the provisioner works, by the bucket of a tenant that there is not, and that its bucket is like all others.
2. Trigger: disable it. A probe shows that the fault is active: its event comes into a dead-letter queue, or the
   function fails, or nothing happens. Only then a tenant is founded, through the application.
3. Observe: the tenant is usable without storage, and the application says so; an alarm's message arrives. With a
   disabled rule no alarm can tell: only the reconciliation of tenants and buckets does, and that is a finding.
4. Recover: make the bucket by hand, with every part of the configuration that another tenant's has; where the name is
   another account's, under the fallback name, which is noted in the tenant's record. The application keeps a document
   there and reads it back.
5. Validate: the bucket's whole configuration is that of another tenant's. Put the provisioner back, and give it the
   events that it was kept from, out of the dead-letter queue or the archive: they change nothing.
6. Document: recovery time against its objective; events that are lost are the recovery point; the commands, and which
   dead letters were handled. Then the settings are exactly as before, and nothing of the tenant is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.provisioner import DisabledProvisioner

pytestmark = pytest.mark.lambda_provisioner_failure

WAYS = ["concurrency 0", "permission removed", "code broken", "rule disabled"]


@pytest.mark.parametrize("disabled_provisioner", WAYS, indirect=True)
def test_manual_bucket(drill: Drill, disabled_provisioner: DisabledProvisioner) -> None:
    """A tenant founded while the provisioner is disabled is usable without storage. Its bucket, made by hand within the
    RTO, is like every other; no event is lost, and those that come late change nothing."""
    with drill.phase("observe"):
        disabled_provisioner.wait_until_seen()

    with drill.phase("recover"):
        disabled_provisioner.recover()

    with drill.phase("validate"):
        differences = disabled_provisioner.check()
        disabled_provisioner.put_back()
        changed = disabled_provisioner.check_late()

    with drill.phase("document"):
        reconciled = disabled_provisioner.reconcile()

        assert differences == []
        assert changed == []
        assert reconciled.without_bucket == disabled_provisioner.case.reconciled.without_bucket
        assert drill.failures == []
        assert drill.rpa_seconds is not None
        assert drill.rpa_seconds <= drill.rpo_seconds
        assert drill.actuals.rta_seconds is not None
        assert drill.actuals.rta_seconds <= drill.rto_seconds
