"""The `envdr` command as a user types it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from pytest_envdr import settings
from pytest_envdr.cli import main
from pytest_envdr.journal import Header, Inverse, Journal, journal_path
from pytest_envdr.sandbox import Sandbox
from pytest_envdr.stack import read
from pytest_envdr.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = str(Path(sys.executable).with_name("envdr"))


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory of the test's own."""
    monkeypatch.setenv("ENVDR_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def owing(state: Path, stack_file: Path, *, queue: str) -> Path:
    """A journal that owes the deletion of a queue; its path."""
    stack = read(stack_file)
    path = journal_path(state, stack.account, stack.region, stack.endpoint)
    header = Header("killed", stack.account, stack.region, stack.endpoint, stack=str(stack_file))
    with Journal.open(path, header) as journal:
        inverse = Inverse("sqs.DeleteQueue", {"QueueName": queue}, f"no queue {queue}")
        journal.intend("sqs.CreateQueue", {"QueueName": queue}, inverse=inverse).settle()
    return path


def test_no_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command it says how it is used."""
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
    assert "usage: envdr" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sandbox", "--speed", "fast"], "--envdr-speed"),
        (["sandbox", "--speed", "5000"], "1000"),
        (["sandbox", "--tenants", "0"], "tenants"),
        (["sandbox", "--port", "70000"], "65535"),
        (["report", "/nowhere"], "events.jsonl"),
    ],
)
def test_a_wrong_value_is_one_message(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 4 and what the value must be; no traceback."""
    assert main(arguments) == 4
    message = capsys.readouterr().err
    assert said in message
    assert "Traceback" not in message


def test_missing_programs_are_named_with_their_packages(tmp_path: Path) -> None:
    """Without PHP the sandbox names it, where it was looked for, and what to install."""
    environment = settings.child_environment() | {"PATH": str(tmp_path)}
    done = subprocess.run([COMMAND, "sandbox"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "php" in done.stderr
    assert f"Looked at: {tmp_path}" in done.stderr
    assert "apt-get install --no-install-recommends" in done.stderr
    assert "Traceback" not in done.stderr


def test_other_systems_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere than on Linux the sandbox says so, and that the plugin is not bound to it."""
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(Exception, match=r"Linux only, and this is darwin.\n.*--envdr-stack"):
        Sandbox()


class Serving:
    """A running `envdr sandbox`, and all that it has said."""

    def __init__(self, *arguments: str) -> None:
        command = [COMMAND, "sandbox", "--speed", "30", "--tenants", "1", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self.process.stdout is not None
        self.said = ""
        for line in self.process.stdout:
            self.said += line
            if line.startswith("Serving"):
                break

    def close(self) -> None:
        """End it, if the test did not."""
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    """`envdr sandbox --stack-file ...` as a user starts it."""
    process = Serving("--stack-file", str(tmp_path / "mine.toml"))
    yield process
    process.close()


def test_the_sandbox_says_what_one_needs_and_ends_when_told_to(serving: Serving, tmp_path: Path) -> None:
    """Stack file, endpoint, each service's address, and an AWS command that works as it is printed; then SIGTERM."""
    stack = read(tmp_path / "mine.toml")
    assert str(tmp_path / "mine.toml") in serving.said
    assert all(service.probe.url in serving.said for service in stack.services.values())
    (export,) = [line for line in serving.said.splitlines() if line.startswith("export ")]
    (example,) = [line for line in serving.said.splitlines() if line.startswith("aws ")]
    done = subprocess.run(f"{export}; {example}", shell=True, capture_output=True, text=True, check=True)  # noqa: S602
    assert "service/envelope-prod-cluster/envelope-prod-api" in done.stdout
    check_ends(serving, tmp_path, signal.SIGTERM)


@pytest.mark.sweep
def test_the_sandbox_ends_at_ctrl_c(serving: Serving, tmp_path: Path) -> None:
    """Ctrl-C ends it as SIGTERM does."""
    check_ends(serving, tmp_path, signal.SIGINT)


def check_ends(serving: Serving, tmp_path: Path, number: signal.Signals) -> None:
    """It ends in good order, and nobody listens any more."""
    endpoint = urlsplit(str(read(tmp_path / "mine.toml").endpoint))
    os.kill(serving.process.pid, number)
    assert serving.process.wait(timeout=60) == 128 + number
    with socket.socket() as client:
        assert client.connect_ex((endpoint.hostname, endpoint.port)) != 0


def test_a_stack_file_that_cannot_be_written(tmp_path: Path) -> None:
    """One message, before a sandbox is started."""
    command = [COMMAND, "sandbox", "--speed", "30", "--tenants", "1", "--stack-file", str(tmp_path / "no" / "x.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "The stack file cannot be written: No such file or directory." in done.stderr
    assert len(done.stderr.splitlines()) == 3


def test_nothing_owed(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`envdr undo` with nothing to do says so, and where it looked."""
    assert main(["undo"]) == 0
    assert f"Nothing is owed.   (looked at {state / 'journals'})" in capsys.readouterr().out


def test_what_is_owed_is_brought_back_once(
    state: Path, sandbox_stack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told what was brought back; the second time there is nothing."""
    owing(state, sandbox_stack, queue="envdr-nobody")
    assert main(["undo"]) == 0
    assert "no queue envdr-nobody" in capsys.readouterr().out
    assert main(["undo"]) == 0
    assert "Nothing is owed." in capsys.readouterr().out


def test_a_target_that_is_gone_can_be_given_up(
    state: Path, sandbox_stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody answers: it stays owed, with the two ways to go on; `--void` gives it up."""
    gone = tmp_path / "gone.toml"
    gone.write_text(sandbox_stack.read_text().replace(str(read(sandbox_stack).endpoint), "http://127.0.0.1:9"))
    owing(state, gone, queue="envdr-lost")
    assert main(["undo"]) == 4
    assert "envdr undo --void" in capsys.readouterr().err
    assert main(["undo", "--void"]) == 0
    assert "void       no queue envdr-lost" in capsys.readouterr().out
    assert main(["undo"]) == 0


def test_a_lost_stack_file_can_be_named(
    state: Path, sandbox_stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stack file that the run was given is gone: another one is taken by name."""
    copy = tmp_path / "copy.toml"
    shutil.copyfile(sandbox_stack, copy)
    owing(state, copy, queue="envdr-moved")
    copy.unlink()
    assert main(["undo"]) == 4
    assert str(copy) in capsys.readouterr().err
    assert main(["undo", "--stack", str(sandbox_stack)]) == 0


@pytest.mark.sweep
def test_the_sandbox_s_end_is_noticed(serving: Serving) -> None:
    """When the sandbox is killed, the command ends too, and says so."""
    children = Path(f"/proc/{serving.process.pid}/task/{serving.process.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)
    assert wait_until(serving.process.poll, what="the end of envdr sandbox", deadline=60)
    assert serving.process.stdout is not None
    assert "the sandbox ended by itself" in serving.process.stdout.read()
