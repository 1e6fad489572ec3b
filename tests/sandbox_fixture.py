"""The running sandboxes that tests share: started when the first test asks for one, ended when no test to come does.

A sandbox at rest costs a fifth of a processor (its services are checked, beat and are backed up all the time), so the
tests that share one run one after the other, and it ends behind the last of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPEED = 20
"""Fast enough for many drills, slow enough for an alarm's window (60 s / 20) to hold several beats of a second."""
RUSH = 40
"""For services with a port, whose alarms live on the load balancer's metrics and not on the application's beats."""
SHARED: dict[str, Any] = {
    "sandbox_stack": {"speed": SPEED, "tenants": 3},
    "battered_stack": {"speed": RUSH, "tenants": 2},
}
"""What each fixture's sandbox is started with."""

_running: dict[str, Sandbox] = {}
_wanted: dict[Path, set[str]] = {}
"""Which of them a test file asks for."""


@pytest.fixture(scope="module")
def sandbox_stack() -> Path:
    """The stack file of a running sandbox. A test that changes the stack puts it back."""
    return _stack("sandbox_stack")


@pytest.fixture(scope="module")
def battered_stack() -> Path:
    """The stack file of a sandbox for tests that break it, several services at once, and mend it."""
    return _stack("battered_stack")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that share a sandbox stand together, before all that need none."""
    for item in items:
        _wanted.setdefault(item.path, set()).update(SHARED.keys() & getattr(item, "fixturenames", ()))
    first, second = SHARED
    items.sort(key=lambda item: (not _wanted[item.path], second in _wanted[item.path], first not in _wanted[item.path]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Iterator[None]:
    """A sandbox ends behind the last file that wants it; were there another, it would get a new one."""
    yield
    for name in _running.keys() - (_wanted[nextitem.path] if nextitem else ()):
        _running.pop(name).__exit__(None, None, None)


def _stack(name: str) -> Path:
    if name not in _running:
        _running[name] = Sandbox(**SHARED[name]).__enter__()
    return _running[name].stack
