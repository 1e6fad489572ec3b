"""Database Restore: simulate corruption by restoring RDS from a backup to a clean environment.

1. Kick-off: record the instance as it is, and the newest that it can be restored from; refuse where a restore cannot go
   well: nothing to restore from, quotas used up, tables that no restore brings back.
2. Trigger: put the application in maintenance mode and note the time: from there on, what the instance holds is lost.
3. Restore: follow docs/backup-restore-runbook.md to restore to a new identifier, with everything passed that AWS would
   otherwise choose by itself; nobody but the drill reaches the copy, and its events do not run.
4. Validation: log in; the application, started alone on the copy, reads what only the copy holds. The configuration is
   the source's but for a declared list; CHECK, schema, routines, triggers, events, grants, row counts and content of
   the central and every tenant database are the source's; no tenant is missing or extra; the heartbeats tell what was
   lost.
5. Cutover (where it is approved): the services are deployed with the copy as their database, work on it, and go back.
6. Monitoring: what alarms, events and logs said meanwhile is put on the time-line.
7. Document: recovery time and recovery point against their objectives; the application is out of maintenance mode, and
   nothing of the copy is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.databases import RestoredDatabase

pytestmark = pytest.mark.database_restore


def test_restore(drill: Drill, restore_source: str, restored_rds: RestoredDatabase) -> None:
    """The database is restored aside from its newest backup, whole: configuration, integrity of the central and every
    tenant database, and a working application on it, within RTO and RPO."""
    with drill.phase("recover"):
        restored_rds.restore()
        restored_rds.wait_until_available()
        answer = restored_rds.wait_until_answers()

    with drill.phase("validate"):
        configuration = restored_rds.check_configuration()
        integrity = restored_rds.check_integrity()
        beyond_objective = restored_rds.check_losses()
        rta_seconds = restored_rds.conclude()

    with drill.phase("document"):
        assert answer.server == answer.restored != answer.source
        assert configuration == []
        assert integrity.missing_tenants == []
        assert integrity.extra_tenants == []
        assert integrity.differences == []
        assert beyond_objective == []
        assert drill.failures == []
        assert drill.rpa_seconds is not None
        assert drill.rpa_seconds <= drill.rpo_of(restore_source)
        assert rta_seconds <= drill.rto_seconds


@pytest.mark.parametrize("restore_source", ["point-in-time"], indirect=True)
def test_cutover(drill: Drill, approved_cutover: str, restored_rds: RestoredDatabase) -> None:
    """Where it is approved: all services are deployed with the restored copy as their database, a client outside is
    served from it, and they go back to the live one."""
    with drill.phase("recover"):
        restored_rds.restore()
        restored_rds.wait_until_available()
        restored_rds.wait_until_answers()

    with drill.phase("validate"):
        integrity = restored_rds.check_integrity()
        restored_rds.check_losses()
        restored_rds.conclude()
        drill.note(f"cutover approved by {approved_cutover}")
        cutover = restored_rds.cut_over_and_back()

    with drill.phase("document"):
        assert integrity.differences == []
        assert cutover.server == cutover.restored
        assert cutover.silent == ()
        assert cutover.back == cutover.source
        assert drill.failures == []
