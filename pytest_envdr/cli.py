"""The `envdr` command: what one needs when pytest is not running.

envdr sandbox    start the embedded stack alone, and serve it until Ctrl-C or SIGTERM
envdr undo       bring back what a killed run left changed
envdr report     render a run's evidence again
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pytest_envdr import builds, settings, swaps, undo
from pytest_envdr.aws import Aws
from pytest_envdr.errors import EnvdrError, UsageError
from pytest_envdr.evidence import html, record
from pytest_envdr.journal import Entry, Header, Journal, journal_paths, last_header, void_gone
from pytest_envdr.stack import read as read_stack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_envdr.settings import Settings
    from pytest_envdr.stack import Stack

USAGE, FAILED = 4, 1
ROWS = {row.name: row for row in settings.OPTIONS}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code: 0, 1 for what failed, 4 for the user's mistake."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except UsageError as error:
        return _fail(error, USAGE)
    except EnvdrError as error:
        return _fail(error, FAILED)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="envdr", description="Disaster-recovery scenarios as tests.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    sandbox = commands.add_parser("sandbox", help="start the embedded stack alone")
    _add(sandbox, "speed", "tenants", "queue", "terraform_lock")
    sandbox.add_argument("--port", type=int, default=0, metavar="PORT", help="the API's port (default: a free one)")
    sandbox.add_argument("--stack-file", type=Path, metavar="PATH", help="write the stack file there as well")
    sandbox.set_defaults(run=_sandbox)
    undo_ = commands.add_parser("undo", help="bring back what a killed run left changed")
    _add(undo_, "stack", "state_directory")
    undo_.add_argument(
        "--void", action="store_true", help="give up what is owed to targets that do not answer: they are gone"
    )
    undo_.set_defaults(run=_undo)
    report = commands.add_parser("report", help="render a run's evidence again")
    report.add_argument("directory", type=Path, metavar="DIR", help="the run's evidence directory")
    report.set_defaults(run=_report)
    return parser


def _add(parser: argparse.ArgumentParser, *names: str) -> None:
    """Arguments that are settings too, declared there."""
    for name in names:
        row = ROWS[name]
        parser.add_argument(row.argument, dest=row.dest, metavar=row.metavar, help=row.help)


def _settings(options: argparse.Namespace) -> Settings:
    def given(row: settings.Option) -> Any:
        return getattr(options, row.dest, None)

    return settings.resolve(given)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _fail(error: EnvdrError, code: int) -> int:
    sys.stderr.write(f"envdr: {error}\n")
    return code


def _sandbox(options: argparse.Namespace) -> int:
    from pytest_envdr.sandbox import Sandbox  # noqa: PLC0415 (moto is an extra: `envdr undo` must not need it)

    chosen = _settings(options)
    names = ("speed", "tenants", "queue", "terraform_lock")
    wanted: dict[str, Any] = {name: getattr(chosen, name) for name in names}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    signal.signal(signal.SIGTERM, _end)
    _check_place(options.stack_file)
    with Sandbox(**wanted, port=options.port, on_progress=_say) as sandbox:
        stack_file = _placed(sandbox.stack, options.stack_file)
        _introduce(read_stack(stack_file))
        code = sandbox.wait()
    sys.stderr.write("envdr: the sandbox ended by itself.\n")
    return code or FAILED


def _end(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


def _check_place(wanted: Path | None) -> None:
    """Before the sandbox starts, which takes seconds: whether its stack file can be written where it is wanted."""
    if wanted is None:
        return
    new = not wanted.exists()
    with _writing(wanted):
        wanted.open("ab").close()
        if new:
            wanted.unlink()


def _placed(stack_file: Path, wanted: Path | None) -> Path:
    if wanted is None:
        return stack_file
    with _writing(wanted):
        shutil.copyfile(stack_file, wanted)
    return wanted.absolute()


@contextmanager
def _writing(wanted: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"The stack file cannot be written: {error.strerror}.\nLooked at: {wanted}\n"
            "To go on: choose another --stack-file."
        ) from error


def _introduce(stack: Stack) -> None:
    cluster = next(iter(stack.services.values())).cluster
    key = stack.credentials
    _say(f"\nstack file      {stack.path}\nendpoint        {stack.endpoint}   (speed {stack.speed:g})")
    for word, service in stack.services.items():
        _say(f"{word:<15} {service.probe.url}   Host: {service.probe.host}   ({service.probe.kind})")
    if key is not None:
        _say(
            f"\nexport AWS_ACCESS_KEY_ID={key.access_key_id} AWS_SECRET_ACCESS_KEY={key.secret_access_key}"
            f" AWS_DEFAULT_REGION={stack.region}"
        )
    _say(
        f"aws --endpoint-url {stack.endpoint} ecs list-services --cluster {cluster}\n"
        f"pytest dr_tests --envdr-stack {stack.path}\n\nServing until Ctrl-C."
    )


def _undo(options: argparse.Namespace) -> int:
    chosen = _settings(options)
    void = void_gone(chosen.state_directory, _header("", "", None))
    swaps.forget(void)
    builds.forget(void)
    for entry in void:
        _say(f"void       {entry.inverse.restores}: its sandbox has ended")
    owing = [path for path in journal_paths(chosen.state_directory) if _owes(path)]
    for path in owing:
        _undo_one(path, chosen, void=options.void)
    if not owing:
        _say(f"Nothing is owed.   (looked at {chosen.state_directory / 'journals'})")
    return 0


def _owes(path: Path) -> bool:
    header = last_header(path)
    if header is None:
        return False
    with Journal.open(path, _header(header.account, header.region, header.endpoint)) as journal:
        return bool(journal.owed())


def _undo_one(path: Path, chosen: Settings, *, void: bool) -> None:
    last = last_header(path)
    if last is None:
        return
    with Journal.open(path, _header(last.account, last.region, last.endpoint, last.stack)) as journal:
        _say(f"{last.account} {last.region} {last.endpoint or 'AWS'}: {len(journal.owed())} to bring back")
        try:
            aws = Aws(_stack(journal.owed(), chosen), journal)
            aws.check_reachable()
        except UsageError as error:
            if not void:
                raise UsageError(f"{error}\nOr, where that target is gone for good: envdr undo --void") from error
            _void(journal, str(error).splitlines()[0])
            return
        undo.replay(aws, journal, report=lambda done: _say(f"{done.how:<10} {done.entry.inverse.restores}"))


def _void(journal: Journal, why: str) -> None:
    for entry in journal.owed():
        journal.void(entry, why)
        _say(f"void       {entry.inverse.restores}")


def _stack(owed: list[Entry], chosen: Settings) -> Stack:
    """The stack file that is named now, or the one that the run itself was given."""
    return read_stack(chosen.stack or Path(owed[-1].header.stack))


def _header(account: str, region: str, endpoint: str | None, stack: str = "") -> Header:
    name = f"undo-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    return Header(name, account, region, endpoint, stack=stack, user=settings.user())


def _report(options: argparse.Namespace) -> int:
    if not (options.directory / "events.jsonl").is_file():
        raise UsageError(
            f"There is no evidence to render: no events.jsonl.\nLooked at: {options.directory}\n"
            "To go on: name the directory that the run printed at its end."
        )
    record.write(options.directory)
    page = html.render(options.directory)
    _say(str(page or options.directory / "record.json"))
    return 0
