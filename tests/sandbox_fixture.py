"""The running sandboxes that tests share: started when the first asks for one, ended with the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_envdr.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPEED = 20
"""Fast enough for many drills, slow enough for an alarm's window (60 s / 20) to hold several beats of a second."""
RUSH = 40
"""For services with a port, whose alarms live on the load balancer's metrics and not on the application's beats."""


@pytest.fixture(scope="session")
def sandbox_stack() -> Iterator[Path]:
    """The stack file of a running sandbox. A test that changes the stack puts it back."""
    with Sandbox(speed=SPEED, tenants=3) as sandbox:
        yield sandbox.stack


@pytest.fixture(scope="session")
def battered_stack() -> Iterator[Path]:
    """The stack file of a sandbox for tests that break it, several services at once, and mend it."""
    with Sandbox(speed=RUSH, tenants=2) as sandbox:
        yield sandbox.stack
