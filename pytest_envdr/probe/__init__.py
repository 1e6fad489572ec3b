"""The client outside: asks at a steady rate, keeps every answer.

`Probe` (asking.py) sends at fixed instants whatever the answers do, each request from a thread and a connection of its
own: a slow answer lowers neither the rate nor hides what came meanwhile. What it asks is one of the four kinds of the
stack file (`checks.py`; the WebSocket's bytes are in websocket.py); what the answers say is in samples.py.
"""

from pytest_envdr.probe.asking import Probe
from pytest_envdr.probe.checks import Check, check_for
from pytest_envdr.probe.samples import Answer, Outage, Sample

__all__ = ["Answer", "Check", "Outage", "Probe", "Sample", "check_for"]
