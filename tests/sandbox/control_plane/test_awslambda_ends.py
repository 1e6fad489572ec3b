"""A function's process ends with the sandbox, as all its parts do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_envdr.sandbox.control_plane import awslambda, cloudwatch, logs
from tests.sandbox.control_plane.lambda_rig import Rig
from tests.sandbox.control_plane.served import serving

LASTING = "import os, time\ndef handler(event, context): print('pid', os.getpid()); time.sleep(60)"


@pytest.mark.parametrize("kind", ["Event", "RequestResponse"])
def test_a_function_ends_with_the_sandbox(tmp_path: Path, kind: str) -> None:
    """In the midst of its work, whoever called it and however."""
    services = {"lambda": awslambda, "logs": logs, "cloudwatch": cloudwatch}
    with serving(tmp_path, services, region="eu-south-1", network="127.38.0.0/16", speed=100) as served:
        rig = Rig(served)
        caller = rig.function(CALLER, Timeout=90)
        name = rig.function(LASTING, Timeout=90)
        event = json.dumps({"name": name, "kind": kind})
        rig.client("lambda").invoke(FunctionName=caller, InvocationType="Event", Payload=event)
        running = rig.pid(name)
    assert not Path(f"/proc/{running}").exists()


CALLER = """
import boto3
def handler(event, context):
    boto3.client("lambda").invoke(FunctionName=event["name"], InvocationType=event["kind"])
"""
