"""The undo journal: on the disk before the call, whole after a kill, never shared."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.errors import InUse, JournalDamaged, Owed
from pytest_envdr.journal import (
    Ephemeral,
    Header,
    Inverse,
    Journal,
    journal_path,
    journal_paths,
    last_header,
    void_gone,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = Header("ex-1", "123456789012", "eu-west-1", "http://127.0.0.1:5000", stack="s.toml", user="ann", host="here")
COUNT = Inverse("ecs.UpdateService", {"service": "api", "desiredCount": 2}, "service api desired count 2")
ENDLESS = """
import sys
from pathlib import Path
from tests.test_journal import COUNT, HEADER
from pytest_envdr.journal import Journal
journal = Journal.open(Path(sys.argv[1]), HEADER)
while True:
    print(journal.intend("ecs.UpdateService", {}, inverse=COUNT).id, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal of a target lies."""
    return journal_path(tmp_path, HEADER.account, HEADER.region, HEADER.endpoint)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until it is killed."""
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def records(path: Path) -> list[dict[str, Any]]:
    """What lies on the disk."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_journal_is_keyed_by_account_region_and_endpoint(tmp_path: Path) -> None:
    """Each target has a file of its own; a trailing slash makes no other target."""
    targets = [
        ("1", "eu", None),
        ("2", "eu", None),
        ("1", "us", None),
        ("1", "eu", "http://127.0.0.1:1"),
        ("1", "eu", "http://127.0.0.1:2"),
    ]
    assert len({journal_path(tmp_path, *target) for target in targets}) == len(targets)
    assert journal_path(tmp_path, "1", "eu", "http://h:1/") == journal_path(tmp_path, "1", "eu", "http://H:1")


def test_what_is_intended_is_owed_until_it_is_reversed(path: Path) -> None:
    """An entry is owed from its intent on, settled or not, by whoever opens the journal next, until it is reversed."""
    with Journal.open(path, HEADER) as journal:
        first = journal.intend("ecs.UpdateService", {"desiredCount": 0}, inverse=COUNT)
        second = journal.intend("sqs.CreateQueue", {"QueueName": "q"}, inverse=Inverse("sqs.DeleteQueue", {}, "no q"))
        second.settle({"QueueUrl": "u"})
        assert journal.owed() == [first, second]
    with Journal.open(path, replace(HEADER, exercise="ex-2")) as journal:
        assert [(entry.act, entry.settled, entry.header) for entry in journal.owed()] == [
            ("ecs.UpdateService", False, HEADER),
            ("sqs.CreateQueue", True, HEADER),
        ]
        assert journal.owed()[1].result == {"QueueUrl": "u"}
        assert journal.owed()[0].inverse == COUNT
        journal.reversed(journal.owed()[1], "brought back")
        assert [entry.act for entry in journal.owed()] == ["ecs.UpdateService"]
    with Journal.open(path, HEADER) as journal:
        assert [entry.act for entry in journal.owed()] == ["ecs.UpdateService"]


def test_what_aws_heals_is_never_owed(path: Path) -> None:
    """An act that AWS heals is journalled with how it heals, and nothing is owed."""
    with Journal.open(path, HEADER) as journal:
        journal.intend("ecs.StopTask", {"task": "t"}, inverse=Inverse.healed("the scheduler starts another"))
        assert journal.owed() == []
    assert records(path)[-1]["inverse"] == {
        "operation": None,
        "arguments": {},
        "restores": "the scheduler starts another",
        "region": "",
    }


def test_a_run_refuses_to_begin_while_something_is_owed(path: Path) -> None:
    """The refusal says what has to be brought back, whose it was, where it lies and how to go on."""
    with Journal.open(path, HEADER) as journal:
        journal.check_nothing_owed()
        journal.intend("ecs.UpdateService", {}, inverse=COUNT)
    with Journal.open(path, replace(HEADER, exercise="ex-2")) as journal, pytest.raises(Owed) as caught:
        journal.check_nothing_owed()
    for part in ("service api desired count 2", "exercise ex-1", str(path), "envdr undo"):
        assert part in str(caught.value)


def test_intending_settles(path: Path) -> None:
    """The block's end settles; an error in it is settled as such, raised on, and the entry stays owed."""
    with Journal.open(path, HEADER) as journal:
        with journal.intending("ecs.UpdateService", {}, inverse=COUNT) as entry:
            entry.settle({"desired": 0})
        with pytest.raises(ValueError, match="refused"), journal.intending("ecs.UpdateService", {}, inverse=COUNT):
            raise ValueError("refused")
        with journal.intending("ecs.UpdateService", {}, inverse=COUNT):
            pass
    with Journal.open(path, HEADER) as journal:
        assert [(entry.settled, entry.error) for entry in journal.owed()] == [
            (True, None),
            (True, "ValueError: refused"),
            (True, None),
        ]


def test_an_interrupted_act_is_not_settled(path: Path) -> None:
    """Ctrl-C in the midst of a call leaves the entry unanswered and owed, and permits nothing any more."""
    with Journal.open(path, HEADER) as journal:
        with pytest.raises(KeyboardInterrupt), journal.intending("ecs.UpdateService", {}, inverse=COUNT):
            raise KeyboardInterrupt
        assert not journal.permits("ecs.UpdateService")
        assert [entry.settled for entry in journal.owed()] == [False]


def test_only_an_open_intent_permits_its_call(path: Path) -> None:
    """A call is permitted from its intent to its answer, and while its inverse is applied; each intent for itself."""
    with Journal.open(path, HEADER) as journal:
        assert not journal.permits("ecs.UpdateService")
        with journal.intending("ecs.UpdateService", {}, inverse=COUNT) as outer:
            with journal.intending("ecs.UpdateService", {}, inverse=COUNT) as inner:
                inner.settle()
            assert journal.permits("ecs.UpdateService")
            assert not journal.permits("ecs.DeleteService")
        assert not journal.permits("ecs.UpdateService")
        with journal.reversing(outer):
            assert journal.permits("ecs.UpdateService")
            assert not journal.permits("ecs.StopTask")
        assert not journal.permits("ecs.UpdateService")


def test_every_change_is_told(path: Path) -> None:
    """The listener hears of each entry's states in order."""
    told: list[str] = []
    with Journal.open(path, HEADER, listener=lambda entry, state: told.append(f"{entry.act} {state}")) as journal:
        with journal.intending("ecs.UpdateService", {}, inverse=COUNT) as entry:
            pass
        journal.reversed(entry)
        other = journal.intend("sns.Subscribe", {}, inverse=Inverse("sns.Unsubscribe", {}, "none"))
        journal.void(other, "gone")
    assert told == [
        *(f"ecs.UpdateService {state}" for state in ("intended", "settled", "reversed")),
        *(f"sns.Subscribe {state}" for state in ("intended", "void")),
    ]


def test_everything_is_on_the_disk_before_it_is_acted_upon(tmp_path: Path) -> None:
    """New directories and the new file are synced, then each record after it was written and before it is told."""
    path = journal_path(tmp_path / "new", HEADER.account, HEADER.region, HEADER.endpoint)
    order: list[str] = []

    def sync(descriptor: int) -> None:
        synced = Path(f"/proc/self/fd/{descriptor}").readlink()
        order.append(records(path)[-1]["record"] if synced == path else f"directory {synced.name}")
        os.fsync(descriptor)

    with Journal.open(path, HEADER, listener=lambda _, state: order.append(f"told {state}"), sync=sync) as journal:
        journal.intend("ecs.UpdateService", {}, inverse=COUNT).settle()
    assert order == [
        f"directory {tmp_path.name}",
        "directory new",
        "directory journals",
        "header",
        *("intend", "told intended", "settle", "told settled"),
    ]


def test_what_cannot_be_synced_is_taken_back(path: Path) -> None:
    """A disk that refuses: the error says that nothing was done, nothing is permitted, and the file is as before."""
    calls: list[int] = []

    def sync(descriptor: int) -> None:
        calls.append(descriptor)
        if path.exists() and b"intend" in path.read_bytes():
            raise OSError(28, "No space left on device")

    with Journal.open(path, HEADER, sync=sync) as journal:
        before = path.read_bytes()
        with pytest.raises(JournalDamaged, match=r"(?s)No space left on device.*was not done.*ENVDR_STATE_DIR"):
            journal.intend("ecs.UpdateService", {}, inverse=COUNT)
        assert path.read_bytes() == before
        assert not journal.permits("ecs.UpdateService")
        assert journal.owed() == []


def test_what_is_not_json_is_refused_before_anything_is_written(path: Path) -> None:
    """An inverse that is not data is the programmer's mistake, found before the call."""
    with Journal.open(path, HEADER) as journal:
        before = path.read_bytes()
        with pytest.raises(TypeError):
            journal.intend("ecs.UpdateService", {"when": object()}, inverse=COUNT)
        assert path.read_bytes() == before
        assert journal.owed() == []


@pytest.mark.parametrize("torn", [b'{"record":"intend","id":"x"', b"\x00\x00\x00", b'{"record":"settle"}\x00', b"[]\n"])
def test_a_torn_end_is_cut_off(path: Path, torn: bytes) -> None:
    """What a kill or a power cut left half written was never acted upon: cut off, and the rest is as it was."""
    with Journal.open(path, HEADER) as journal:
        journal.intend("ecs.UpdateService", {}, inverse=COUNT)
    with path.open("ab") as file:
        file.write(torn)
    with Journal.open(path, HEADER) as journal:
        assert [entry.inverse for entry in journal.owed()] == [COUNT]
    assert [record["record"] for record in records(path)] == ["header", "intend", "header"]


@pytest.mark.parametrize("line", ["nonsense", '{"record":"settle","id":"unknown"}', '{"record":"intend","id":"a"}'])
def test_damage_elsewhere_is_refused(path: Path, line: str) -> None:
    """A record that cannot be read and is not the last could be something owed: refused, never skipped, with the place
    and the lock given back."""
    with Journal.open(path, HEADER):
        pass
    header = path.read_text()
    path.write_text(f"{header}{line}\n{header}")
    for _ in range(2):
        with pytest.raises(JournalDamaged, match="2"):
            Journal.open(path, HEADER)


def test_two_never_work_on_one_target(path: Path) -> None:
    """The second to open is refused, and is told who holds it; after the first has closed, it may."""
    with Journal.open(path, HEADER), pytest.raises(InUse) as caught:
        Journal.open(path, replace(HEADER, exercise="ex-2"))
    for part in ("ex-1", f"pid {os.getpid()}", "ann", "here", str(path)):
        assert part in str(caught.value)
    with Journal.open(path, HEADER):
        pass


def test_a_child_does_not_keep_the_lock(path: Path) -> None:
    """Programs that a run starts do not hold its journal when the run has ended."""
    with Journal.open(path, HEADER):
        child = subprocess.Popen(["sleep", "600"], close_fds=False)
    try:
        with Journal.open(path, HEADER):
            pass
    finally:
        child.kill()
        child.wait()


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """No access to the state directory is one message with the place and the option."""
    (tmp_path / "journals").write_text("a file")
    with pytest.raises(JournalDamaged, match=r"(?s)cannot be opened.*Looked at.*--envdr-state-dir"):
        Journal.open(journal_path(tmp_path, "1", "eu", None), HEADER)


@pytest.mark.parametrize("kept", [1, 20, 200])
def test_a_killed_process_owes_all_that_it_was_promised(path: Path, kept: int) -> None:
    """SIGKILL at any time: every intent that returned is owed, at most one more is, and the lock is free."""
    command = [sys.executable, "-c", ENDLESS, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        promised = [child.stdout.readline().strip() for _ in range(kept)]
        child.kill()
        promised += child.stdout.read().split()
    assert child.returncode == -signal.SIGKILL
    with Journal.open(path, HEADER) as journal:
        owed = [entry.id for entry in journal.owed()]
    assert owed[: len(promised)] == promised
    assert len(owed) - len(promised) in (0, 1)


def test_what_is_owed_to_a_sandbox_that_has_ended_is_void(path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    """While the sandbox runs its entries are owed; when its process has ended they can be closed."""
    header = replace(HEADER, ephemeral=Ephemeral.of(sleeper.pid))
    with Journal.open(path, header) as journal:
        journal.intend("ecs.UpdateService", {}, inverse=COUNT)
        assert journal.void_gone() == []
    sleeper.kill()
    sleeper.wait()
    with Journal.open(path, HEADER) as journal:
        assert [entry.inverse for entry in journal.void_gone()] == [COUNT]
        journal.check_nothing_owed()
    assert records(path)[-1]["record"] == "void"


def test_another_process_of_the_same_id_is_not_the_sandbox(sleeper: subprocess.Popen[bytes]) -> None:
    """A process id that was given out again, or counts from another boot, does not keep a sandbox alive; a zombie
    neither."""
    alive = Ephemeral.of(sleeper.pid)
    assert not alive.gone
    assert replace(alive, started="1").gone
    assert replace(alive, boot="another").gone
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert alive.gone


def test_the_state_directory_is_swept(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    """Journals of sandboxes that have ended are closed and taken away; an account's, and a running sandbox's, stay."""
    gone = replace(HEADER, endpoint="http://127.0.0.1:1", ephemeral=Ephemeral(1, "0", "earlier"))
    running = replace(HEADER, endpoint="http://127.0.0.1:2", ephemeral=Ephemeral.of(sleeper.pid))
    lasting = replace(HEADER, endpoint="http://127.0.0.1:3")
    for header in (gone, running, lasting):
        where = journal_path(tmp_path, header.account, header.region, header.endpoint)
        with Journal.open(where, header) as journal:
            journal.intend("ecs.UpdateService", {}, inverse=COUNT)
    assert len(journal_paths(tmp_path)) == 3
    assert [entry.header.endpoint for entry in void_gone(tmp_path, HEADER)] == [gone.endpoint]
    left = [last_header(path) for path in journal_paths(tmp_path)]
    assert {header.endpoint for header in left if header} == {running.endpoint, lasting.endpoint}


def test_a_journal_in_use_is_not_swept(path: Path, tmp_path: Path) -> None:
    """Sweeping leaves alone what another run has open, though its sandbox has ended."""
    with Journal.open(path, replace(HEADER, ephemeral=Ephemeral(1, "0", "earlier"))) as journal:
        journal.intend("ecs.UpdateService", {}, inverse=COUNT)
        assert void_gone(tmp_path, HEADER) == []
        assert len(journal.owed()) == 1


def test_a_clean_end_leaves_no_journal_of_its_own_sandbox(path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    """A run that started its sandbox and owes nothing takes the journal away; another target's stays."""
    with Journal.open(path, replace(HEADER, ephemeral=Ephemeral.of(sleeper.pid))) as journal:
        journal.reversed(journal.intend("ecs.UpdateService", {}, inverse=COUNT))
    assert not path.exists()
    with Journal.open(path, HEADER):
        pass
    assert path.exists()
