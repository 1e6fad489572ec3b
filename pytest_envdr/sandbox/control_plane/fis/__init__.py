"""FIS: an experiment that cuts one Region off from another is really done; there is no other kind here.

On AWS, `aws:network:route-table-disrupt-cross-region-connectivity` blocks what comes from the target subnets and goes
to the named Region. On loopback nobody can tell where a connection comes from, so here, stricter than on AWS, the named
Region answers nobody while the experiment runs: its API gives 503, its databases, caches, load balancers and tasks are
frozen, and its control loop rests. They go on as they were when it ends: by StopExperiment, by a stop condition, or by
itself after `duration`, which is whoever set it's own and not divided by `speed`. FIS itself is never frozen, and
whatever happens, an experiment ends with the sandbox.

Where to look: `action` says what an experiment may do, `backend` takes requests, the `controller` takes each experiment
through its states. What is frozen and how is in `sandbox/regions.py`.

Not here: other actions (kept in templates, answered 501 when they are to be started), several accounts, reports, logs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from moto.fis.models import fis_backends
from moto.moto_api import state_manager

from pytest_envdr.sandbox.control_plane.extension import extend, on_each_path
from pytest_envdr.sandbox.control_plane.fis.backend import SandboxFis
from pytest_envdr.sandbox.control_plane.fis.controller import FisController
from pytest_envdr.sandbox.control_plane.fis.responses import SandboxFisResponse
from pytest_envdr.sandbox.fidelity import SIMULATED, Fidelity

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_loop import Controller
    from pytest_envdr.sandbox.world import World

__all__ = ["FIDELITY", "install"]

FIDELITY: dict[str, Fidelity] = dict.fromkeys(
    (
        "CreateExperimentTemplate",
        "GetAction",
        "GetExperiment",
        "ListActions",
        "ListExperiments",
        "StartExperiment",
        "StopExperiment",
    ),
    SIMULATED,
)
NEVER = 10**9


def install(world: World) -> Controller:
    """Put our backend and answers in moto's place, before the first request."""
    extend("fis", SandboxFis)
    on_each_path("fis", SandboxFisResponse)
    # moto moves an experiment on when it is asked about; here the control loop does.
    state_manager.set_transition("fis::experiment", {"progression": "manual", "times": NEVER})
    backend = cast("SandboxFis", fis_backends[world.account][world.region])
    backend.world = world
    return FisController(world, backend)
