"""Worker Queue Recovery: jobs are reprocessed after workers were killed or stopped, and none is lost.

1. Kick-off: record the service and the queue as they are: what is pending, delayed, reserved and failed, whose failed
   jobs they are, and the settings in force; refuse where the queue is paused. retry_after must be more than the
   workers' time-out, and that more than the longest job.
2. Trigger: dispatch marked jobs, so that every worker has one in hand while others wait, are delayed or will fail;
   then the workers are killed in mid-job, or stopped in good order, or the service is taken down.
3. Observe: ECS starts others, or nobody works on the queue any more.
4. Recover: restore the desired count where it was lowered. Jobs of killed workers come back after retry_after; what
   failed is retried by its uuid: the drill's own jobs, and nobody else's.
5. Validate: the ledger in the database holds an effect for every job, exactly one; failed jobs of others are untouched,
   no lock is left behind.
6. Document: recovery time against its objective; jobs executed twice and jobs lost are listed; nothing marked is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.queues import StoppedWorker

pytestmark = pytest.mark.worker_queue_recovery


@pytest.mark.parametrize("stopped_worker", ["killed", "stopped", "all stopped"], indirect=True)
def test_recovery(drill: Drill, stopped_worker: StoppedWorker) -> None:
    """Workers end with jobs in hand. Every job is done, with its effect exactly once, within the RTO; none is lost, and
    failed jobs of others are not retried."""
    with drill.phase("observe"):
        stopped_worker.wait_until_seen()

    with drill.phase("recover"):
        stopped_worker.restore()
        stopped_worker.retry()

    with drill.phase("validate"):
        recovery = stopped_worker.wait_until_recovered()

    with drill.phase("document"):
        assert recovery.lost == []
        assert recovery.differences == []
        assert drill.failures == []
        assert recovery.rpa_seconds <= drill.rpo_seconds
        assert recovery.rta_seconds <= drill.rto_seconds


@pytest.mark.parametrize("stopped_worker", ["database away", "cache rebooted", "cache failed over"], indirect=True)
def test_lost_jobs(drill: Drill, stopped_worker: StoppedWorker) -> None:
    """The database is rebooted while jobs end: one that fails then is lost by the framework for good. Or the cache that
    the queue is in restarts, which empties it, or fails over, which loses what no replica had. No queue knows of what
    it lost: the ledger names each job, all are made again from the outbox, and within the RTO every job is done, with
    its effect exactly once."""
    with drill.phase("observe"):
        stopped_worker.wait_until_seen()

    with drill.phase("recover"):
        stopped_worker.restore()
        stopped_worker.recreate()
        stopped_worker.retry()

    with drill.phase("validate"):
        recovery = stopped_worker.wait_until_recovered()

    with drill.phase("document"):
        assert recovery.lost == recovery.made_again
        assert recovery.differences == []
        assert drill.failures == []
        assert recovery.rta_seconds <= drill.rto_seconds
