"""S3: objects are bytes that are really kept; here is what of S3's own behaviour moto lacks.

backend     buckets and objects, with the defaults of a bucket made today
operations  which operation a request is
responses   the answers
policy      bucket policies with their conditions
filling     buckets filled in this process, for the seed
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.extension import extend
from pytest_envdr.sandbox.control_plane.s3.backend import SandboxS3
from pytest_envdr.sandbox.control_plane.s3.responses import extend_responses

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_loop import Controller
    from pytest_envdr.sandbox.fidelity import Fidelity
    from pytest_envdr.sandbox.world import World

FIDELITY: dict[str, Fidelity] = {}


class S3Controller:
    """Nothing moves by itself here."""

    def step(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to stop."""


def install(world: World) -> Controller:  # noqa: ARG001 (every service installs alike)
    """Put our backend in moto's place, before the first request."""
    extend("s3", SandboxS3)
    extend_responses()
    return S3Controller()
