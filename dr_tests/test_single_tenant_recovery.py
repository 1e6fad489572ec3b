"""Single Tenant Recovery: restore a specific tenant database from backup without affecting others.

1. Kick-off: record every tenant's database and the central one as they are; refuse where no point in time can be
   restored, or where the tenant is not in service. The tenant's database is dumped, so that whatever happens it can be
   brought back.
2. Trigger: rows of the tenant are deleted or overwritten, a table of it is dropped, or all of its database.
3. Observe: the tenant's database is not what it was; no other is changed.
4. Recover: take the tenant out of service; restore the whole instance aside, to the second before the damage; extract
   the tenant with its routines, triggers and events; load it beside, under a name of the drill's own.
5. Validate: the copy is what was restored, and the tenant's own; only then swap it in, under approval, the damaged
   database kept until sign-off. The tenant is what was restored, every other database is untouched, and central rows,
   documents and jobs agree with it, or are listed. Put the tenant back in service; its page answers.
6. Document: recovery time and recovery point against their objectives, and what was lost; all copies are taken away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.tenants import RecoveredTenant

pytestmark = pytest.mark.single_tenant_recovery


@pytest.mark.parametrize(
    "recovered_tenant", ["rows deleted", "rows overwritten", "table dropped", "database dropped"], indirect=True
)
def test_recovery(drill: Drill, recovered_tenant: RecoveredTenant) -> None:
    """A tenant's data is damaged. It comes back as it was a second before, within RTO and RPO; its loss is listed, and
    every other tenant and the central database are untouched."""
    with drill.phase("observe"):
        recovered_tenant.wait_until_seen()

    with drill.phase("recover"):
        recovered_tenant.restore()
        recovered_tenant.extract()

    with drill.phase("validate"):
        copy = recovered_tenant.check_copy()
        assert copy.differences == []
        assert copy.foreign == []

        recovered_tenant.swap()
        recovery = recovered_tenant.wait_until_recovered()

    with drill.phase("document"):
        assert recovery.differences == []
        assert recovery.disturbed == []
        assert recovery.orphans == []
        assert drill.failures == []
        assert recovery.rpa_seconds <= drill.rpo_of("point-in-time")
        assert recovery.rta_seconds <= drill.rto_seconds
