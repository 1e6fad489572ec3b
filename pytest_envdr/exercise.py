"""One exercise: what a run of drills holds, from its first need to the evidence.

    begin     stack file read or sandbox started, clearance, journal, credentials' account: in this order, so that
              whatever is refused is refused before it was touched
    drill     one test's time-line, with its objective, runbook and criterion written down before it starts
    release   whatever is owed is put back, the sandbox ends; the evidence stays open
    finish    the evidence is closed and rendered

Nothing here knows pytest; its reports reach `reported` in serialised form.
"""

from __future__ import annotations

import hashlib
import secrets
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Self

from pytest_envdr import builds, guard, provenance, stack, swaps, undo
from pytest_envdr.aws import Aws, sts
from pytest_envdr.drills import Drill
from pytest_envdr.errors import UsageError
from pytest_envdr.evidence import events, html, record
from pytest_envdr.journal import Ephemeral, Header, Journal, journal_path, void_gone
from pytest_envdr.scenarios import SCENARIOS
from pytest_envdr.timeline import Clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_envdr.aws import Call
    from pytest_envdr.drills import Standing
    from pytest_envdr.evidence.rows import Record
    from pytest_envdr.journal import Entry
    from pytest_envdr.settings import Settings
    from pytest_envdr.stack import Objective, Stack

EVIDENCE = "evidence"
_RANK = {"passed": 0, "skipped": 1, "failed": 2, "error": 3}


@dataclass(frozen=True)
class Charge:
    """What a drill is asked to show.

    Attributes:
        node_id: the test.
        scenario: its marker; "" for a scenario of the user's own.
        title: for a scenario of the user's own, its name in words.
        service: the service's word in the stack file, where it is about one.
        criterion: the test's docstring.
        steps: its module's docstring.
        overrides: what the marker says otherwise than the stack file.
    """

    node_id: str
    scenario: str = ""
    title: str = ""
    service: str | None = None
    criterion: str = ""
    steps: str = ""
    overrides: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Teller:
    """How a run tells its user what goes on: a `line` that stays; how a wait is `standing`, None when it is over."""

    line: Callable[[str], None] = lambda _: None
    standing: Callable[[Standing | None], None] = lambda _: None


class Exercise:
    """A run of drills on one stack.

    Attributes:
        id: its name: UTC time and a few hex digits; also the tag `envdr:exercise` of what it creates.
        directory: where its evidence goes.
        stack, aws, journal: the target, and the hands on it.
    """

    stack: Stack
    aws: Aws
    journal: Journal

    def __init__(self, settings: Settings, *, root: Path, command: str = "", teller: Teller | None = None) -> None:
        self.id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        self.directory = (settings.evidence or root / EVIDENCE / self.id).absolute()
        self.clock = Clock()
        self._settings = settings
        self._root = root
        self._command = command
        self._teller = teller or Teller()
        self._ended = ExitStack()
        self._held = ExitStack()
        self._drills: dict[str, Drill] = {}
        self._outcomes: dict[str, str] = {}
        self._current: str | None = None
        self._events: events.EventLog | None = None

    @classmethod
    def begin(cls, settings: Settings, *, root: Path, command: str = "", teller: Teller | None = None) -> Self:
        """Open the stack and the evidence.

        Args:
            settings: which stack, and where the evidence goes.
            root: where the tests are; relative runbooks start there too.
            command: how the run was started, for the report.
            teller: how to tell the user.

        Raises:
            UsageError: the stack file, the endpoint, the evidence directory or a program cannot be used.
            NotCleared: this stack may not be touched.
            Owed, InUse: an earlier run is not put back, or another one is at work.
        """
        exercise = cls(settings, root=root, command=command, teller=teller)
        try:
            exercise._open()
        except BaseException:
            exercise._close()
            exercise._discard()
            raise
        return exercise

    @property
    def copy_limit(self) -> int | None:
        """Objects of more bytes are copied in parts; None: S3's own limit."""
        return self._settings.copy_limit

    def drill(self, charge: Charge) -> Drill:
        """The time-line of one test.

        Raises:
            UsageError: the stack file promises nothing for its scenario, and neither does its marker.
            NotCleared: its scenario is not approved for this stack.
        """
        if charge.scenario:
            self.check_approval(charge.scenario)
        objective = self._objective(charge)
        drill = Drill(
            charge.node_id.rpartition("::")[2],
            exercise_id=self.id,
            objective=objective,
            directory=self.directory,
            sink=self._log.sink(charge.node_id),
            clock=self.clock,
            told=self._teller.standing,
        )
        self._drills[charge.node_id] = drill
        self._current = charge.node_id
        scenario = SCENARIOS.get(charge.scenario)
        self._log.write(
            "drill.begin",
            drill=charge.node_id,
            scenario=charge.scenario or charge.title,
            title=scenario.title if scenario else charge.title,
            service=charge.service,
            criterion=charge.criterion,
            steps=charge.steps,
            runbook=self._runbook(charge.scenario),
            objectives=objective.model_dump() if objective else {},
        )
        return drill

    def check_approval(self, scenario: str) -> None:
        """Refuse a scenario that nobody approved for this stack.

        Raises:
            NotCleared: with the row to add.
        """
        guard.check_approval(self.stack, scenario, date.today())  # noqa: DTZ011 (the approver's calendar day)

    def settle(self) -> None:
        """Put back what a drill left owed, because something cut its own way back short.

        Raises:
            UndoFailed: not all of it could be; it stays owed.
        """
        if self.journal.owed():
            undo.replay(
                self.aws, self.journal, lambda undone: self._teller.line(f"put back: {undone.entry.inverse.restores}")
            )

    def shortfall(self, node_id: str) -> str:
        """The findings that fail a drill, in words; "" where there are none."""
        drill = self._drills.get(node_id)
        return "\n".join(str(finding) for finding in drill.failures) if drill else ""

    def reported(self, node_id: str, *, when: str, outcome: str, report: dict[str, Any], text: str = "") -> None:
        """Take in one of pytest's reports; the last of a test ends its drill."""
        self._log.write("report", drill=node_id, report=report)
        if node_id not in self._drills:
            return
        word = "error" if outcome == "failed" and when != "call" else outcome
        before = self._outcomes.get(node_id, "passed")
        self._outcomes[node_id] = max(before, word, key=_RANK.__getitem__)
        if when == "teardown":
            self._log.write("drill.end", drill=node_id, outcome=self._outcomes[node_id], longrepr=text or None)
            self._current = None

    def release(self) -> None:
        """Put back what is owed, end the sandbox, let go of the target. The evidence stays open.

        Raises:
            UndoFailed: something could not be put back; it stays owed, unless its sandbox has ended with the run.
        """
        try:
            self.settle()
        finally:
            self._close()

    def finish(self, exit_status: int) -> Record:
        """Close the evidence and render it.

        Raises:
            EnvdrError: it could not be rendered; the events stay.
        """
        self._log.write("exercise.end", exit_status=exit_status)
        self._log.close()
        made = record.write(self.directory)
        html.render(self.directory)
        return made

    def _open(self) -> None:
        path = self._settings.stack
        if path is not None:
            self.stack = self._chosen(stack.read(path))
            guard.check_endpoint(self.stack)
        self._events = events.EventLog(self.directory, self.id, self.clock)
        ephemeral = None
        if path is None:
            ephemeral = self._start_sandbox()
        self._take_hold(ephemeral)
        self._log.write(
            "exercise.begin",
            id=self.id,
            stack=self.stack.model_dump(
                include={"name", "kind", "endpoint", "account", "region", "speed", "version"}, mode="json"
            ),
            versions=provenance.versions(),
            command=self._command,
            **provenance.origin(self._root),
        )

    def _close(self) -> None:
        """Let go of the journal, then end the sandbox; what was owed to it ends with it."""
        with self._ended:
            self._held.close()

    def _discard(self) -> None:
        """Nothing was begun, so no evidence of it is left behind."""
        if self._events is not None:
            self._events.close()
            with suppress(OSError):
                (self.directory / events.FILE).unlink()
                self.directory.rmdir()

    @property
    def _log(self) -> events.EventLog:
        if self._events is None:
            raise UsageError("The exercise has not begun.")
        return self._events

    def _start_sandbox(self) -> Ephemeral:
        from pytest_envdr.sandbox import Sandbox  # noqa: PLC0415 (a stack of the user's own needs none)

        settings = self._settings
        chosen = {
            "speed": settings.speed,
            "tenants": settings.tenants,
            "queue": settings.queue,
            "terraform_lock": settings.terraform_lock,
        }
        given: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
        sandbox = self._held.enter_context(Sandbox(**given, on_progress=self._teller.line))
        self.stack = self._chosen(stack.read(sandbox.stack))
        guard.check_endpoint(self.stack)
        return Ephemeral.of(sandbox.pid)

    def _chosen(self, found: Stack) -> Stack:
        """The stack with the tenant that the user chose instead of its own."""
        slug = self._settings.tenant
        if slug is None or found.drill_tenant is None:
            return found
        return found.model_copy(update={"drill_tenant": found.drill_tenant.model_copy(update={"slug": slug})})

    def _take_hold(self, ephemeral: Ephemeral | None) -> None:
        """Lock the target's journal, look that nothing is owed there, and that the credentials are the account's."""
        target = (self.stack.account, self.stack.region, self.stack.endpoint)
        facts = provenance.origin(self._root)
        header = Header(
            self.id, *target, stack=str(self.stack.path), user=facts["user"], host=facts["host"], ephemeral=ephemeral
        )
        self._void_gone(header)
        if ephemeral is not None:
            self._ended.callback(self._void_gone, header)
        path = journal_path(self._settings.state_directory, *target)
        self.journal = Journal.open(path, header, listener=self._journalled)
        self._held.callback(self.journal.close)
        self.journal.check_nothing_owed()
        self.aws = Aws(self.stack, self.journal, self._called, clock=self.clock)
        self.aws.check_reachable()
        guard.check_account(self.stack, sts.account(self.aws))

    def _void_gone(self, header: Header) -> None:
        """What is owed to a sandbox that has ended is owed no longer."""
        void = void_gone(self._settings.state_directory, header)
        swaps.forget(void)
        builds.forget(void)

    def _journalled(self, entry: Entry, state: str) -> None:
        self._log.write(
            "journal",
            drill=self._current,
            entry=entry.id,
            act=entry.act,
            restores=entry.inverse.restores if entry.inverse.operation else "",
            state=state,
        )

    def _called(self, call: Call) -> None:
        facts = {key: value for key, value in vars(call).items() if key not in {"at", "clock"}}
        self._log.write("aws.call", drill=self._current, at=call.at, clock=call.clock, **facts)

    def _objective(self, charge: Charge) -> Objective | None:
        promised = self.stack.objectives.get(charge.scenario)
        if charge.overrides:
            rows = (promised.model_dump() if promised else {}) | charge.overrides
            if "rpo_seconds" in charge.overrides:
                rows["rpo_seconds_from"] = {}
            if "rto_seconds" in rows:
                return stack.Objective(**rows)
        if promised is None and charge.scenario:
            raise UsageError(
                f"Nothing is promised for {charge.scenario}: a drill without an objective proves nothing.\n"
                f"Looked at: {self.stack.path}: [objectives.{charge.scenario}]\n"
                "To go on: add it with `rto_seconds = ...`, or give the marker `rto_seconds`."
            )
        return promised

    def _runbook(self, scenario: str) -> dict[str, Any] | None:
        """The runbook that the stack file names, found beside it or beside the tests, with its version's hash."""
        named = self.stack.runbooks.get(scenario)
        if named is None:
            return None
        places = (self.stack.path.parent / named, self._root / named)
        found = next((path for path in places if path.is_file()), None)
        sha256 = hashlib.sha256(found.read_bytes()).hexdigest() if found else None
        return {"path": named, "sha256": sha256, "found": found is not None}
