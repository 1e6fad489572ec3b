"""Regional Failover: the stack is built again in its standby Region, and serves there without the primary.

1. Kick-off: the two Regions are compared; what prevents a failover is a refusal. The standby Region must be empty.
2. Trigger: the clock starts at the interruption. Nothing is broken.
3. Recover: by the same Terraform modules, under a state of its own. What the database needs is built, the database is
   restored from its replicated backup, then the rest is built. Each plan only creates, there alone, or is not applied.
4. Validate: smoke tests from outside with the tenants' host names; nothing there names the primary; what was lost is
   counted; then all tests again while the primary is not there. The DNS records that would change are told, and are
   not changed.
5. Document: recovery time and recovery point against their objectives; all is destroyed, and nothing is left behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.regions import SecondaryRegion

pytestmark = pytest.mark.regional_failover


def test_failover(drill: Drill, secondary_region: SecondaryRegion) -> None:
    """The stack serves from its standby Region within the RTO, with no more lost than the RPO allows, by nothing of the
    primary Region; afterwards nothing of it is left there."""
    with drill.phase("recover"):
        secondary_region.restore()
        secondary_region.build()
        served = secondary_region.wait_until_serves()

    with drill.phase("validate"):
        secondary_region.check_dependencies()
        beyond_objective = secondary_region.check_losses()
        alone = secondary_region.smoke_test_alone()
        records = secondary_region.cutover_records()
        rta_seconds = secondary_region.conclude()

    with drill.phase("document"):
        leftovers = secondary_region.tear_down()
        assert [test for test in served if not test.passed] == []
        assert [test for test in alone if not test.passed] == []
        assert beyond_objective == []
        assert records
        assert all(record.after for record in records)
        assert leftovers == []
        assert drill.failures == []
        assert drill.rpa_seconds is not None
        assert drill.rpa_seconds <= drill.rpo_of("replicated")
        assert rta_seconds <= drill.rto_seconds
