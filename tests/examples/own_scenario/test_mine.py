import pytest

pytestmark = pytest.mark.ecs_failover(rto_seconds=60)


def test_hq_comes_back(drill, crashed_ecs_service):
    """After losing every task, the service answers again within a minute."""
    recovery = crashed_ecs_service.wait_until_recovered()
    assert recovery.rta_seconds <= drill.rto_seconds
