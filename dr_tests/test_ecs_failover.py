"""ECS Service Failover: stop all tasks for a service and verify automatic recovery.

1. Kick-off: record the service as it is; refuse if it is not fit to be broken; look whether its alarms could see an
   outage and tell somebody; ask it from outside until it answers well.
2. Trigger: stop every task (self-healing), or suspend auto scaling and set the desired count to 0 (full outage).
3. Observe: the load balancer has no healthy target, clients get 503, the alarm fires, its message reaches a subscriber.
4. Recover: ECS starts tasks by itself, or the desired count is restored to what it was.
5. Validate: the wanted tasks run and none is from before, every target is healthy, a client's writes are read back, and
   all of that holds.
6. Document: recovery time against its objective; auto scaling resumed exactly as before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.services import CrashedService, StoppedService

pytestmark = pytest.mark.ecs_failover


def test_self_healing(drill: Drill, crashed_ecs_service: CrashedService) -> None:
    """Every task of the service is stopped. ECS starts others by itself, the load balancer finds them healthy, and a
    client outside is served again, lastingly, within the RTO."""
    with drill.phase("observe"):
        crashed_ecs_service.wait_until_replaced()

    with drill.phase("validate"):
        recovery = crashed_ecs_service.wait_until_recovered()

    with drill.phase("document"):
        assert drill.failures == []
        assert recovery.rta_seconds <= drill.rto_seconds


def test_full_outage(drill: Drill, stopped_ecs_service: StoppedService) -> None:
    """The service is taken down altogether. The outage is seen by the load balancer, by clients and by the alarm, whose
    message reaches a subscriber; with the desired count restored the service is back, lastingly, within the RTO."""
    with drill.phase("observe"):
        seen = stopped_ecs_service.wait_until_seen()

    with drill.phase("recover"):
        stopped_ecs_service.restore()

    with drill.phase("validate"):
        recovery = stopped_ecs_service.wait_until_recovered()

    with drill.phase("document"):
        assert seen.missing == []
        assert drill.failures == []
        assert recovery.rta_seconds <= drill.rto_seconds
