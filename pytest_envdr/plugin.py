"""Every hook, nothing but hooks. Installed but unused it must cost next to nothing: what a drill needs is imported when
one runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr import collection, running
from pytest_envdr.fixtures import (  # noqa: F401 (pytest finds a plugin's fixtures in its namespace)
    approved_cutover,
    aws,
    bad_deployment,
    crashed_ecs_service,
    disabled_provisioner,
    drill,
    ecs_service,
    exercise,
    journal,
    lost_terraform_state,
    recovered_tenant,
    restore_source,
    restored_rds,
    secondary_region,
    stack,
    stopped_ecs_service,
    stopped_worker,
    tenant_bucket_copy,
)
from pytest_envdr.scenarios import SCENARIOS
from pytest_envdr.settings import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Generator


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options and ini keys, from the settings' table."""
    group = parser.getgroup("envdr", "disaster-recovery exercises")
    for row in OPTIONS:
        action = "append" if row.repeatable else "store"
        group.addoption(row.flag, dest=row.dest, metavar=row.metavar, help=row.help, action=action, default=None)
        parser.addini(row.ini, row.help, type="string", default="")


def pytest_configure(config: pytest.Config) -> None:
    """The nine markers."""
    arguments = ", ".join(collection.OVERRIDES)
    for row in SCENARIOS.values():
        text = f"{row.word}({arguments}): {row.title}. {row.expected}. It breaks {row.breaks}."
        config.addinivalue_line("markers", text)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each service."""
    collection.parametrize(metafunc)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse what would be unsafe, before anything runs."""
    collection.check(config, items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """What a drill found out fails it."""
    if not collection.is_drill(item):
        return (yield)
    with running.verdict(item):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Reports of drills go into the evidence as they are made."""
    report = yield
    running.record(item, report)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_keyboard_interrupt(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Ctrl-C or SIGTERM at whatever instruction: pytest must be able to tell where."""
    running.keep_lines(excinfo)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Generator[None, Any, Any]:
    """After every teardown, and before the terminal's summary: the evidence."""
    try:
        return (yield)
    finally:
        running.finish(session, int(exitstatus))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The table, and where the evidence lies."""
    running.tell(terminalreporter, config)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker of pytest-xdist has ended."""
    collection.refuse_together(node)
