"""CloudWatch: alarms evaluated from what was really published, their history, and their actions.

`evaluation` and `datapoints` are pure; `backend` keeps, `alarms` is the loop's part, `actions` delivers, `wording`
writes CloudWatch's JSON, `history` remembers, `responses` answers. Not here (a 501): metric math, anomaly detection,
composite and log alarms, mute rules.

On time: `speed` divides an alarm's period and the interval of its evaluation, so at speed 10 an alarm of 60 s sees
windows of 6 s. The periods that GetMetricData and GetMetricStatistics ask for are not divided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.cloudwatch.alarms import AlarmController
from pytest_envdr.sandbox.control_plane.cloudwatch.backend import SandboxCloudWatch
from pytest_envdr.sandbox.control_plane.cloudwatch.responses import SandboxCloudWatchResponse
from pytest_envdr.sandbox.control_plane.extension import extend, on_each_path
from pytest_envdr.sandbox.fidelity import SIMULATED, Fidelity

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_loop import Controller
    from pytest_envdr.sandbox.world import World

__all__ = ["FIDELITY", "install"]

FIDELITY: dict[str, Fidelity] = {
    # States follow from published values by our state machine. Values are real where a real part publishes them, but a
    # frozen part's old values stay readable: nothing here fails at once, so nothing is `acted`.
    "DescribeAlarms": SIMULATED,
    "DescribeAlarmsForMetric": SIMULATED,
    "DescribeAlarmHistory": SIMULATED,
    "PutMetricAlarm": SIMULATED,
    "DeleteAlarms": SIMULATED,
    "EnableAlarmActions": SIMULATED,
    "DisableAlarmActions": SIMULATED,
    "SetAlarmState": SIMULATED,
    "GetMetricData": SIMULATED,
    "GetMetricStatistics": SIMULATED,
    "ListMetrics": SIMULATED,
    "PutMetricData": SIMULATED,
}


def install(world: World) -> Controller:
    """Put our backend and answers in moto's place, before the first request."""
    extend("cloudwatch", SandboxCloudWatch)
    on_each_path("cloudwatch", SandboxCloudWatchResponse)
    return AlarmController(world)
