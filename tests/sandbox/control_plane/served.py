"""moto's API with some of the sandbox's services in it, served to plain clients within the test's own process.

moto's backends are global: each test module takes a Region of its own, and each test names of its own.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from moto.core.base_backend import BackendDict

from pytest_envdr.sandbox import api
from pytest_envdr.sandbox.control_loop import ControlLoop
from pytest_envdr.sandbox.server import controllers
from pytest_envdr.sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import ModuleType

ACCOUNT = "123456789012"

observe_operations = cache(api.observe_operations)


@dataclass
class Served:
    """The world, and clients to it; where two Regions are served, `beside` is the other one."""

    world: World
    beside: Served | None = None

    def client(self, service: Any) -> Any:
        """A boto3 client."""
        return boto3.client(
            service,
            region_name=self.world.region,
            endpoint_url=self.world.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 (there is nothing to keep secret)
            config=Config(proxies={}, retries={"total_max_attempts": 1}),
        )

    def cli(self, *arguments: str) -> str:
        """What Debian's AWS CLI prints."""
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        environment = {"PATH": os.defpath, **keys, "AWS_DEFAULT_REGION": self.world.region, "AWS_PAGER": ""}
        command = ["/usr/bin/aws", "--endpoint-url", self.world.endpoint, *arguments]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    def cli_json(self, *arguments: str) -> Any:
        """What the AWS CLI prints, parsed."""
        return json.loads(self.cli(*arguments, "--output", "json"))


def _forget() -> None:
    """Drop what another module left in this process: its backends are of moto's own class, or know another world."""
    for backends in tuple(BackendDict._instances):  # type: ignore[misc]
        backends.clear()


@contextmanager
def serving(
    directory: Path,
    modules: Mapping[str, ModuleType],
    *,
    region: str,
    network: str,
    speed: float,
    beside: tuple[str, str] | None = None,
) -> Iterator[Served]:
    """Serve until left; `beside` is a second Region and its network."""
    observe_operations()
    _forget()
    fidelities = {service: module.FIDELITY for service, module in modules.items()}
    regions: dict[str, World] = {}
    door = api.Api(api.Front(fidelities, io.StringIO(), regions), port=0)
    served = Served(World(ACCOUNT, region, speed, directory, IPv4Network(network), door.endpoint, regions=regions))
    if beside is not None:
        served.beside = Served(served.world.elsewhere(beside[0], IPv4Network(beside[1])))
    loop = ControlLoop(controllers(modules, *regions.values()))
    door.start()
    loop.start()
    try:
        yield served
    finally:
        door.close()
        loop.close()
