"""The sandbox's server process: the API, the control loop, and the stack in it."""

from __future__ import annotations

import gc
import json
import logging
import shutil
import signal
import sys
import threading
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_envdr.errors import EnvdrError, UsageError
from pytest_envdr.sandbox import api
from pytest_envdr.sandbox.control_loop import ControlLoop
from pytest_envdr.sandbox.control_plane import (
    application_autoscaling,
    awslambda,
    backup,
    cloudwatch,
    codebuild,
    codepipeline,
    ecr,
    ecs,
    elasticache,
    elbv2,
    events,
    fis,
    logs,
    rds,
    s3,
    secretsmanager,
    service_quotas,
    sqs,
)
from pytest_envdr.sandbox.envelope import database, seed
from pytest_envdr.sandbox.envelope.names import ACCOUNT, DATABASE, REGION, STANDBY_REGION
from pytest_envdr.sandbox.regions import InRegion
from pytest_envdr.sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from pytest_envdr.sandbox.control_loop import Controller
    from pytest_envdr.sandbox.guardian import Networks
    from pytest_envdr.sandbox.options import Options

REGIONAL = {
    "rds": rds,
    "backup": backup,
    "elasticache": elasticache,
    "elbv2": elbv2,
    "ecr": ecr,
    "ecs": ecs,
    "application-autoscaling": application_autoscaling,
    "cloudwatch": cloudwatch,
    "logs": logs,
    "secretsmanager": secretsmanager,
    "service-quotas": service_quotas,
    "sqs": sqs,
    "codebuild": codebuild,
    "codepipeline": codepipeline,
    "lambda": awslambda,
    "events": events,
}
"""boto3's name of each service that we act out in each Region -> its module, in the order in which they are stepped."""
GLOBAL = {"s3": s3}
"""Those whose names are the account's, not a Region's: one control loop acts for all Regions."""
LAST = {"fis": fis}
"""Stepped in Regions that are cut off too: what it asks of a Region is done when its turn comes again."""
SERVICES = REGIONAL | GLOBAL | LAST
LOOK_SECONDS = 0.5
"""How long SIGTERM may go unnoticed: one that arrives just before the wait begins does not interrupt it."""


def serve(options: Options, networks: Networks, directory: Path) -> int:
    """Serve until SIGTERM; the exit code. Everything is said on standard output: `<kind> <JSON string>` a line."""
    logging.basicConfig(filename=directory / "sandbox.log", level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ExitStack() as parts:
            parts.callback(shutil.rmtree, directory, ignore_errors=True)
            stack_file = _open(options, networks, directory, parts)
            gc.freeze()
            gc.enable()
            _say("ready", str(stack_file))
            while not stopping.wait(LOOK_SECONDS):
                pass
    except UsageError as error:
        _say("usage", str(error))
        return 4
    except EnvdrError as error:
        _say("failed", f"{error}\nLooked at: {directory / 'sandbox.log'}")
        return 1
    return 0


def _open(options: Options, networks: Networks, directory: Path, parts: ExitStack) -> Path:
    api.observe_operations()
    answers = parts.enter_context((directory / "api.jsonl").open("w"))
    fidelities = {service: module.FIDELITY for service, module in SERVICES.items()}
    regions: dict[str, World] = {}
    door = api.Api(api.Front(fidelities, answers, regions), port=options.port)
    cache = Path(options.cache) if options.cache else None
    world = World(ACCOUNT, REGION, options.speed, directory, networks[0], door.endpoint, cache=cache, regions=regions)
    world.contents[DATABASE] = database.content(options.tenants)
    world.queue, world.terraform_lock = options.queue, options.terraform_lock
    standby = world.elsewhere(STANDBY_REGION, networks[1])
    for each in regions.values():
        each.storage.mkdir(parents=True)
    loop = ControlLoop(controllers(SERVICES, *regions.values()))
    parts.callback(loop.close)
    parts.callback(door.close)
    door.start()
    loop.start()
    _say("progress", f"API at {world.endpoint}")
    text = seed.build(world, standby, _version(), lambda step: _say("progress", step), tenants=options.tenants)
    stack_file = directory / "stack.toml"
    stack_file.write_text(text)
    return stack_file


def controllers(modules: Mapping[str, ModuleType], *worlds: World) -> list[Controller]:
    """What acts in each Region, and what acts for all of them, of the services in `modules`."""
    regional = [module for service, module in modules.items() if service not in GLOBAL | LAST]
    acting: list[Controller] = [InRegion(world, module.install(world)) for world in worlds for module in regional]
    acting += [modules[service].install(worlds[0]) for service in GLOBAL if service in modules]
    return acting + [modules[service].install(world) for world in worlds for service in LAST if service in modules]


def _version() -> str:
    return f"pytest-envdr sandbox on moto {metadata.version('moto')}"


def _say(kind: str, text: str) -> None:
    """Tell the owner; it may be gone, which is for the guardian to notice."""
    try:
        sys.stdout.write(f"{kind} {json.dumps(text)}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        logging.getLogger("envdr.sandbox").info("nobody listens: %s %s", kind, text)
