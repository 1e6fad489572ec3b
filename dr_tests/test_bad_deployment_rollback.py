"""Bad Deployment Rollback: deploy a known-broken image; the circuit breaker or a hand brings the previous one back.

1. Kick-off: prove the way back (circuit breaker and rollback on, a completed deployment, its revision ACTIVE, its
   images still in the registry under their digests); ask the service from outside until it answers well; keep the
   pipeline out.
2. Trigger: register a revision with the broken image and deploy it; or have the pipeline ship it: a broken revision of
   its source is built, and alone is let into the stage that deploys.
3. Observe: ECS counts failures and rolls back by itself; or it sees none, and clients do.
4. Recover: where ECS sees none, deploy the previous revision by hand, named in full; where somebody sees it first, have
   ECS stop the deployment and roll it back.
5. Validate: all tasks run the previous revision with the very digests of before, every target is healthy, a client's
   writes are read back, and all of that holds. Where the pipeline shipped: roll its stage back to the last good
   execution; it must take that revision, and what runs must have the digests of before.
6. Document: who noticed what and when, what the pipeline made of it, recovery time against its objective; what was
   registered meanwhile is deregistered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.deployments import BadDeployment

pytestmark = pytest.mark.bad_deployment_rollback


@pytest.mark.parametrize("bad_deployment", ["cannot-be-pulled", "exits", "unhealthy"], indirect=True)
def test_circuit_breaker(drill: Drill, bad_deployment: BadDeployment) -> None:
    """The broken image never becomes healthy. ECS rolls back by itself to what ran before, within the RTO, and no
    client notices: the old tasks serve throughout."""
    with drill.phase("observe"):
        bad_deployment.wait_until_rolled_back()

    with drill.phase("validate"):
        recovery = bad_deployment.wait_until_recovered()

    with drill.phase("document"):
        assert recovery.outage.failures == {}
        assert drill.failures == []
        assert recovery.rta_seconds <= drill.rto_seconds


@pytest.mark.parametrize("bad_deployment", ["answers-500", "grows"], indirect=True)
def test_manual_rollback(drill: Drill, bad_deployment: BadDeployment) -> None:
    """The broken image passes its health checks and then answers 500, or grows until it is killed for memory, which the
    circuit breaker does not look at. It is seen at clients, or by tasks that die; the previous revision is deployed by
    hand, and serves again, lastingly, within the RTO."""
    with drill.phase("observe"):
        bad_deployment.wait_until_seen()

    with drill.phase("recover"):
        bad_deployment.roll_back()

    with drill.phase("validate"):
        recovery = bad_deployment.wait_until_recovered()

    with drill.phase("document"):
        assert drill.failures == []
        assert recovery.rta_seconds <= drill.rto_seconds


@pytest.mark.parametrize("bad_deployment", ["unhealthy"], indirect=True)
def test_stopped_by_hand(drill: Drill, bad_deployment: BadDeployment) -> None:
    """Whoever watches the deployment sees a task fail its health checks and does not wait for the circuit breaker: told
    to, ECS stops the deployment and rolls back to what ran before, within the RTO, and no client notices."""
    with drill.phase("observe"):
        bad_deployment.wait_until_failing()

    with drill.phase("recover"):
        bad_deployment.stop()

    with drill.phase("validate"):
        recovery = bad_deployment.wait_until_recovered()

    with drill.phase("document"):
        assert recovery.outage.failures == {}
        assert drill.failures == []
        assert recovery.rta_seconds <= drill.rto_seconds


@pytest.mark.parametrize("bad_deployment", ["exits via pipeline"], indirect=True)
def test_pipeline(drill: Drill, bad_deployment: BadDeployment) -> None:
    """A broken revision goes through the pipeline: source, build, deploy. ECS rolls back by itself to what ran before,
    within the RTO, and no client notices. Started again, the pipeline ships what ran before, with the very digests of
    before, and not the broken revision, and no client notices that either."""
    with drill.phase("observe"):
        bad_deployment.wait_until_rolled_back()

    with drill.phase("validate"):
        recovery = bad_deployment.wait_until_recovered()
        shipped = bad_deployment.ship_again()

    with drill.phase("document"):
        assert recovery.outage.failures == {}
        assert shipped.revisions == shipped.intended
        assert all(digests == bad_deployment.release.digests for digests in shipped.digests)
        assert shipped.outage.failures == {}
        assert drill.failures == []
        assert recovery.rta_seconds <= drill.rto_seconds


@pytest.mark.parametrize("bad_deployment", ["answers-500 via pipeline"], indirect=True)
def test_pipeline_and_hand(drill: Drill, bad_deployment: BadDeployment) -> None:
    """A revision that passes its health checks and then answers 500 goes through the pipeline. It is seen at clients;
    the previous revision is deployed by hand, and serves again within the RTO. Started again, the pipeline ships what
    ran before, and no client notices that."""
    with drill.phase("observe"):
        bad_deployment.wait_until_seen()

    with drill.phase("recover"):
        bad_deployment.roll_back()

    with drill.phase("validate"):
        recovery = bad_deployment.wait_until_recovered()
        shipped = bad_deployment.ship_again()

    with drill.phase("document"):
        assert shipped.revisions == shipped.intended
        assert all(digests == bad_deployment.release.digests for digests in shipped.digests)
        assert shipped.outage.failures == {}
        assert drill.failures == []
        assert recovery.rta_seconds <= drill.rto_seconds
