"""Bad Deployment Rollback: deploy a known-broken image; the circuit breaker or a hand brings the previous one back.

1. Kick-off: prove the way back (circuit breaker and rollback on, a completed deployment, its revision ACTIVE, its
   images still in the registry under their digests); ask the service from outside until it answers well.
2. Trigger: register a revision with the broken image and deploy it.
3. Observe: ECS counts failures and rolls back by itself; or it sees none, and clients do.
4. Recover: where ECS sees none, deploy the previous revision by hand, named in full.
5. Validate: all tasks run the previous revision with the very digests of before, every target is healthy, a client's
   writes are read back, and all of that holds.
6. Document: who noticed what and when, recovery time against its objective; the broken revision is deregistered.
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
