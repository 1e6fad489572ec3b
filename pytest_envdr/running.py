"""How a pytest session runs an exercise: begun when a fixture first needs it, ended with the session in any case."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr import collection
from pytest_envdr.errors import EnvdrError, InUse, MissingProgram, NotCleared, Owed, Refused, StackFileError, UsageError
from pytest_envdr.terminal import Terminal, shown, summary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _pytest._code.code import TracebackEntry

    from pytest_envdr.evidence.rows import Record
    from pytest_envdr.exercise import Exercise

EXERCISE: pytest.StashKey[Exercise] = pytest.StashKey()
RECORD: pytest.StashKey[Record] = pytest.StashKey()


@contextmanager
def exercise(config: pytest.Config) -> Iterator[Exercise]:
    """The session's exercise; what cannot be begun ends the session with one message."""
    from pytest_envdr.exercise import Exercise, Teller  # noqa: PLC0415 (a run without drills needs none of it)

    _end_orderly_on_sigterm(config)
    terminal = Terminal(config)
    command = " ".join(("pytest", *map(str, config.invocation_params.args)))
    try:
        begun = Exercise.begin(
            collection.settings_of(config),
            root=config.rootpath,
            command=command,
            teller=Teller(terminal.line, terminal.standing),
        )
    except EnvdrError as error:
        raise _end_of_session(error) from None
    config.stash[EXERCISE] = begun
    with outcomes():
        try:
            where = f"{begun.stack.name} ({begun.stack.endpoint})"
            terminal.line(f"exercise {begun.id} on {where}; evidence: {shown(begun.directory)}")
            yield begun
        finally:
            begun.release()


@contextmanager
def outcomes() -> Iterator[None]:
    """Turn our errors into pytest's: the user's mistakes end the session, the rest is one test's red result. So is a
    program, or a table of the stack file, that this drill needs and others may not."""
    try:
        yield
    except EnvdrError as error:
        own = isinstance(error, MissingProgram | StackFileError)
        if isinstance(error, UsageError | NotCleared | Owed | InUse) and not own:
            raise _end_of_session(error) from None
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@contextmanager
def verdict(item: pytest.Item) -> Iterator[None]:
    """A drill's own word: what it found out fails the test, whatever the test asserts."""
    begun = item.config.stash.get(EXERCISE, None)
    try:
        with outcomes():
            yield
    except (Exception, pytest.fail.Exception) as error:
        found = begun.shortfall(item.nodeid) if begun else ""
        if found and isinstance(error, pytest.fail.Exception) and not error.pytrace:
            # Without a traceback pytest shows the message alone, and no notes.
            raise pytest.fail.Exception(f"{error.msg}\nFound:\n{found}", pytrace=False) from None
        if found:
            error.add_note(f"Found:\n{found}")
        raise
    if begun and (found := begun.shortfall(item.nodeid)):
        pytest.fail(f"The drill found:\n{found}", pytrace=False)


def record(item: pytest.Item, report: pytest.TestReport) -> None:
    """Take a report of a drill into the evidence."""
    begun = item.config.stash.get(EXERCISE, None)
    if begun is None or not collection.is_drill(item):
        return
    serialised: dict[str, Any] = item.config.hook.pytest_report_to_serializable(config=item.config, report=report)
    begun.reported(item.nodeid, when=report.when, outcome=report.outcome, report=serialised, text=report.longreprtext)


def finish(session: pytest.Session, exit_status: int) -> None:
    """Close the evidence and render it."""
    begun = session.config.stash.get(EXERCISE, None)
    if begun is None:
        return
    try:
        session.config.stash[RECORD] = begun.finish(exit_status)
    except EnvdrError as error:
        Terminal(session.config).line(f"The evidence could not be rendered: {error}")


def tell(reporter: Any, config: pytest.Config) -> None:
    """The table at the end, and where the evidence lies."""
    begun, made = config.stash.get(EXERCISE, None), config.stash.get(RECORD, None)
    if begun is None:
        return
    reporter.section("disaster recovery")
    if made is not None:
        for line in summary(made):
            reporter.write_line(line)
        reporter.write_line("")
        reporter.write_line(made.exercise.statement)
    reporter.write_line(f"evidence: {shown(begun.directory)}")


def keep_lines(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Leave out of a traceback what stands at no line.

    A signal may come at an instruction that CPython made up, whose frame then has None for a line; pytest 9 ends with a
    TypeError on it, and with another exit code.
    """
    excinfo.traceback = excinfo.traceback.filter(_has_line)


def _has_line(entry: TracebackEntry) -> bool:
    try:
        return entry.lineno >= 0
    except TypeError:
        return False


def _end_of_session(error: EnvdrError) -> BaseException:
    """One message and no traceback; exit code 4 for what the user can mend."""
    usage = isinstance(error, UsageError | Refused)
    code = pytest.ExitCode.USAGE_ERROR if usage else pytest.ExitCode.TESTS_FAILED
    return pytest.exit.Exception(str(error), int(code))


def _end_orderly_on_sigterm(config: pytest.Config) -> None:
    """SIGTERM (a stopped CI job) ends pytest without any teardown; let it do what Ctrl-C does, once."""
    if threading.current_thread() is not threading.main_thread():
        return

    def interrupt(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt("SIGTERM")

    before = signal.signal(signal.SIGTERM, interrupt)

    def restore() -> None:
        signal.signal(signal.SIGTERM, before)

    config.add_cleanup(restore)
