"""Terraform's state lost, and recovered from its bucket's versions.

Everything happens on a copy of the state under a key of the drill's own, unless the stack file's approval allows the
real one. Nothing is ever applied: a recovery ends with a plan that has no change, or it is no recovery.
"""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_envdr import guard, undo
from pytest_envdr.drills import (
    Finding,
    state_checks,
    state_errored,
    state_fit,
    state_losses,
    state_places,
    state_recovery,
    state_replicas,
)
from pytest_envdr.errors import NotCleared, Refused, UndoFailed
from pytest_envdr.terraform import Terraform
from pytest_envdr.timeline import Mark, Phase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.state_checks import Checked
    from pytest_envdr.drills.state_fit import Known
    from pytest_envdr.drills.state_losses import Detection, Loss, Said
    from pytest_envdr.drills.state_places import Place, Where
    from pytest_envdr.journal import Journal
    from pytest_envdr.stack import Stack
    from pytest_envdr.tables import Terraform as Row
    from pytest_envdr.verify.state import Candidate, Lock

__all__ = ["LostState", "lost", "unsuited"]

SCENARIO = "control_plane_loss"
ALLOWS = "state"
UNLOCKED = "-lock=false"
"""How Terraform is asked while the drill itself holds the lock of the stack's own state."""


@dataclass
class LostState:
    """A state that was lost, and the steps that recover it: `wait_until_seen`, `recover`, `check`.

    Attributes:
        known: the state as it was, and how it is kept.
        place: where it was lost: on a copy, or on the stack's own key.
        loss: what was done to it.
        marker: the id of the delete marker that the loss put on it; "" for none.
        stale: the lock that was left behind, where that is part of the loss.
        restored: the version that was restored; None until `recover`, and where none would do.
    """

    known: Known
    place: Place
    loss: Loss
    _aws: Aws
    _journal: Journal
    _drill: Drill
    _terraform: Terraform
    _options: tuple[str, ...] = ()
    marker: str = ""
    stale: Lock | None = None
    restored: Candidate | None = None
    fault: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def expected(self) -> Said:
        """What Terraform ought to say of the loss: the lock table's digest tells it, a lock file does not."""
        return state_losses.expected(self.place, self.loss)

    def wait_until_seen(self) -> Detection:
        """Until Terraform was asked, and what it said, or did not say, is written down; marks SEEN."""
        detection = state_losses.asked(self._drill, self._terraform, *self._options)
        state_losses.tell(self._drill, self.place, self.loss, detection, self.known.state)
        by = "the serial that was known" if detection.silent else "Terraform"
        self._drill.mark(Mark.SEEN, by=by)
        return detection

    def recover(self) -> Candidate | None:
        """Find the version to restore, put it back, mend the digest, release the lock that was left; marks RECOVERED.

        Nothing is restored where no version will do, and that is a failure.
        """
        loss = state_recovery.Left(self.known.state.lineage, self.marker, self.stale)
        self.restored = state_recovery.recovered(
            self._aws, self._journal, self._drill, self.place, self._terraform, left=loss
        )
        if self.restored is not None:
            self._drill.mark(Mark.RECOVERED, error_seconds=0.0)
        return self.restored

    def check(self) -> Checked:
        """Hold the recovered state against what was known, against the modules and against AWS; marks VERIFIED where
        nothing fails. Nothing is applied, whatever the plan says."""
        known = self.known.state
        checked = state_checks.check_state(self._aws, self._drill, self.place, self._terraform, known, *self._options)
        point = state_checks.tell_recovery_point(self._drill, known, self.restored, checked, fault=self.fault)
        if point.lost != 0:
            title = "Not all of the control plane came back"
            self._drill.finding(Finding("state.rpo", "failure", title, point.newest))
        if not self._drill.failures:
            self._drill.mark(Mark.VERIFIED)
        return checked


def unsuited(stack: Stack, where: Where) -> str:
    """Why a drill may not work there: on the stack's own state only where that is allowed; "" where it may."""
    if where == "copy":
        return ""
    try:
        guard.check_allowed(stack, SCENARIO, ALLOWS, date.today())  # noqa: DTZ011 (the approver's day)
    except NotCleared as error:
        return f"on the {where}: {error}"
    return ""


@contextmanager
def lost(aws: Aws, journal: Journal, drill: Drill, *, loss: Loss, where: Where = "copy") -> Iterator[LostState]:
    """Lose a state. On leaving, however it is left, nothing of the copy is in the bucket and the lock table; or the
    stack's own key has the versions of before, its digest and no lock.

    Args:
        aws, journal, drill: as everywhere.
        loss: what is done to it.
        where: on a "copy", or on the "original".

    Raises:
        StackFileError: the stack file lacks `[terraform]`.
        MissingProgram: no Terraform, one too old, or no provider.
        TerraformFailed: it cannot plan even before the loss.
        NotCleared: the original, and that is not allowed.
        Refused: the state is not fit to be lost; nothing was touched.
        UndoFailed: on leaving, something could not be brought back.
    """
    with ExitStack() as leaving:
        work = Path(leaving.enter_context(tempfile.TemporaryDirectory(prefix="envdr-")))
        with drill.phase(Phase.KICK_OFF):
            if why := unsuited(aws.stack, where):
                raise NotCleared(why)
            if where == "original" and loss == "locked":
                raise Refused(
                    "The original is never left with a stale lock: the drill itself holds its lock meanwhile."
                )
            aws.stack.needs("terraform")
            row = aws.stack.terraform
            if row is None:  # for the type checker: `needs` refused it
                raise Refused("There is no terraform in the stack file.")
            own = row if where == "original" else state_places.beside(drill, row)
            terraform = Terraform.of(aws, work, row=own)
            known = state_fit.check_fit(aws, drill, row, loss)
            state_errored.check_written(drill, aws.stack.beside(row.directory), known.state)
            if where == "original":
                state_replicas.check_kept(aws, row, loss)
            state_fit.check_ready(drill, terraform)
            leaving.enter_context(_put_back(aws, journal, drill, known))
            place, options = _taken(aws, journal, drill, known, own)
            state_fit.check_plannable(drill, terraform, known, *options)
            drill.attach("reference.json", json.dumps(known.told(), indent=2) + "\n", media_type="application/json")
        state = LostState(known, place, loss, aws, journal, drill, terraform, options)
        with drill.phase(Phase.TRIGGER):
            state.fault = drill.mark(Mark.FAULT).at
            if loss == "locked":
                state.stale = state_places.take_lock(aws, journal, place, operation="OperationTypeApply")
            made = state_losses.inflict(aws, journal, place, loss)
            state.marker = made if loss in state_losses.MARKED else ""
            drill.note(f"{place.path}: {loss}")
        yield state


def _taken(aws: Aws, journal: Journal, drill: Drill, known: Known, own: Row) -> tuple[Place, tuple[str, ...]]:
    """The place, and how Terraform is asked there: from the stack's own state others are kept by its lock."""
    if own is not known.row:
        state_replicas.expect(aws, journal, drill, own, state_places.own_prefix(own))
        return state_places.copied(aws, journal, drill, own, known.versions, known.digest), ()
    place = state_places.Place(own, own=False)
    held = state_places.take_lock(aws, journal, place, operation="envdr exercise")
    drill.note(f"the drill works on the stack's own state, and holds its lock meanwhile: {held.id}")
    return place, (UNLOCKED,)


@contextmanager
def _put_back(aws: Aws, journal: Journal, drill: Drill, known: Known) -> Iterator[None]:
    """All that is owed, the newest first; then look whether the stack's own state is as before."""
    try:
        yield
    finally:
        undo.replay(aws, journal, lambda undone: drill.note(f"{undone.entry.inverse.restores}: {undone.how}"))
        if why := state_fit.changed(aws, known):
            raise UndoFailed(f"The state {known.row.bucket}/{known.row.object_key} is not as before: {why}.")
