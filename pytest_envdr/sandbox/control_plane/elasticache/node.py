"""One cache node: its Redis kept running, and told what to be while it runs.

An endpoint is an address that the Redis in that role listens at beside its own. A client that is connected already
stays where it is, as with AWS, where an endpoint is a name and a failover changes what it stands for.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_envdr.errors import PartFailed
from pytest_envdr.sandbox.data_plane.redis import PORT, Redis
from pytest_envdr.sandbox.data_plane.watch import ANSWER_SECONDS, Condition, Watch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor, Future
    from pathlib import Path

LOOK_SECONDS = 0.25
"""Pause between two looks at how far a replica is."""


@dataclass(frozen=True)
class Settings:
    """What a node shall be.

    Attributes:
        addresses: where it listens; its own is the first.
        master: the address of the node that it replicates; None for a primary.
        parameters: the server's variables that can be set while it runs.
        at_start: those that cannot.
    """

    addresses: tuple[str, ...]
    master: str | None
    parameters: tuple[tuple[str, str], ...] = ()
    at_start: tuple[tuple[str, str], ...] = ()

    @property
    def options(self) -> dict[str, str]:
        """As the server is started with them."""
        replicated = {} if self.master is None else {"replicaof": f"{self.master} {PORT}"}
        return {**dict(self.parameters), **dict(self.at_start), **replicated, "bind": " ".join(self.addresses)}


@dataclass(frozen=True)
class Report:
    """What a node said of its replication: `offset` is how much of the primary's writes it has, in bytes."""

    at: float
    master: str | None
    linked: bool
    offset: int


class Node:
    """A node, wanted up or down and in some role.

    Attributes:
        address: its own.
        rebooting: it was asked to reboot, and is not back yet.
        settings: what it is in effect; None while it does not run.
        report: what it last said of its replication since it runs.
    """

    def __init__(self, directory: Path, address: str, pool: Executor, *, patience: float) -> None:
        self.address = address
        self.rebooting = False
        self.settings: Settings | None = None
        self.report: Report | None = None
        self.server = Redis(directory, address=address)
        self.watch = Watch(self.server, pool, patience=patience)
        self._pool = pool
        self._talk: Future[tuple[Settings, Report | None]] | None = None
        self._talks_to: int | None = None
        self._next_look = 0.0

    @property
    def up(self) -> bool:
        return self.watch.condition is Condition.UP

    @property
    def synced(self) -> bool:
        """It has what it shall replicate, or replicates nothing; and knows its role."""
        said, settings = self.report, self.settings
        if not self.up or said is None or settings is None:
            return False
        return said.master == settings.master and (said.master is None or said.linked)

    def step(self, wanted: Settings, *, held: bool) -> None:
        """Bring it a step closer to what is wanted; `held` down while it is not to come back."""
        if held:
            self.watch.down()
        else:
            self.watch.up()
        before = self.watch.condition
        if before is Condition.DOWN:
            self.server.options = wanted.options
        self.watch.step()
        if self.watch.condition is Condition.DOWN:
            self.settings = self.report = None
        elif before is Condition.DOWN:
            self.settings, self.report = wanted, None
        if self.up:
            self._converse(wanted)

    def reboot(self) -> None:
        """Shut it down; it starts again at once."""
        self.rebooting = True
        self.watch.restart()

    def close(self) -> None:
        """End the server. Idempotent."""
        self.server.stop()
        shutil.rmtree(self.server.directory, ignore_errors=True)

    def _converse(self, wanted: Settings) -> None:
        now = time.monotonic()
        if self._talk is not None:
            if not self._talk.done():
                return
            if self._talk.exception() is None and self._talks_to == self.server.pid:
                self.settings, said = self._talk.result()
                self.report = said or self.report
            self._talk, self._next_look = None, now + LOOK_SECONDS
        settings = self.settings
        if settings is None:
            return
        due = now >= self._next_look and settings.master is not None
        if due or not self.synced or _differ(settings, wanted):
            self._talks_to = self.server.pid
            self._talk = self._pool.submit(_talk, self.server, settings, wanted)


def _differ(settings: Settings, wanted: Settings) -> bool:
    return (settings.addresses, settings.master, settings.parameters) != (
        wanted.addresses,
        wanted.master,
        wanted.parameters,
    )


def _talk(server: Redis, settings: Settings, wanted: Settings) -> tuple[Settings, Report | None]:
    """Tell a server what it is not yet, and ask it for its replication. What is in effect then, and what it said."""
    try:
        for told in _tell(server, settings, wanted):
            settings = told
        return settings, _report(server)
    except (OSError, PartFailed):
        # It died, or another still listens at the address: the next pass looks again.
        return settings, None


def _tell(server: Redis, now: Settings, wanted: Settings) -> Iterator[Settings]:
    """Its role first: it must not listen for writers before it takes writes. What is in effect after each step."""
    if now.master != wanted.master:
        target = ("NO", "ONE") if wanted.master is None else (wanted.master, str(PORT))
        server.ask("REPLICAOF", *target, timeout=ANSWER_SECONDS)
        now = replace(now, master=wanted.master)
        yield now
    if now.addresses != wanted.addresses:
        server.ask("CONFIG", "SET", "bind", " ".join(wanted.addresses), timeout=ANSWER_SECONDS)
        now = replace(now, addresses=wanted.addresses)
        yield now
    for name, value in sorted(set(wanted.parameters) - set(now.parameters)):
        server.ask("CONFIG", "SET", name, value, timeout=ANSWER_SECONDS)
    yield replace(now, parameters=wanted.parameters)


def _report(server: Redis) -> Report:
    text = server.ask("INFO", "replication", timeout=ANSWER_SECONDS)
    said = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return Report(
        at=time.monotonic(),
        master=said.get("master_host"),
        linked=said.get("master_link_status") == "up",
        offset=int(said.get("slave_repl_offset") or said.get("master_repl_offset") or 0),
    )
