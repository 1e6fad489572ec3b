"""What the application tells of an exercise's marked jobs: its outbox, its ledger, its queue.

Times are Unix seconds by the application's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ALWAYS = -1
"""`fails` of that many runs: it never works."""


@dataclass(frozen=True)
class Job:
    """A row of the outbox: what was to be done, written before the queue heard of it.

    Attributes:
        id: the business's own; it outlives retries, which may change the queue's.
        kind: works, slow, fails, delayed or unique.
        orders: what it is to do: `seconds`, `fails`, `delay`, `unique_for`, `lock`, `tenant`, `tries`, `timeout`.
        uuid: the queue's id of its last dispatch; None where the queue never took it.
        dispatches: how often the queue took it.
    """

    id: str
    kind: str
    orders: Mapping[str, Any]
    uuid: str | None
    dispatches: int
    dispatched_at: float | None

    @property
    def works(self) -> bool:
        """Whether an effect is expected of it, if only after retries."""
        return self.orders.get("fails") != ALWAYS

    @property
    def tenant(self) -> str | None:
        """In whose name it works; None where it is no tenant's."""
        return self.orders.get("tenant")


@dataclass(frozen=True)
class Run:
    """One execution. `outcome` is done, failed, repeated (the effect was there already), or None: it never ended."""

    run: int
    id: str
    uuid: str
    attempt: int
    worker: str
    outcome: str | None
    started_at: float
    finished_at: float | None


@dataclass(frozen=True)
class Effect:
    """What a job brought about, by which run. `tenant`: whose database it worked in, by that database's own word."""

    id: str
    run: int
    applied_at: float
    tenant: str | None = None


@dataclass(frozen=True)
class Ledger:
    """What an exercise ordered, and what came of it, as the database has it."""

    jobs: tuple[Job, ...] = ()
    runs: tuple[Run, ...] = ()
    effects: tuple[Effect, ...] = ()

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Ledger:
        """From what `dr:ledger` prints, or the page answers."""
        return cls(
            tuple(Job(**row) for row in told["outbox"]),
            tuple(Run(**row) for row in told["runs"]),
            tuple(Effect(**row) for row in told["effects"]),
        )

    @property
    def done(self) -> frozenset[str]:
        """The jobs that have an effect."""
        return frozenset(effect.id for effect in self.effects)

    @property
    def empty(self) -> bool:
        return not (self.jobs or self.runs or self.effects)

    def runs_of(self, job: str) -> list[Run]:
        """A job's runs, oldest first."""
        return [run for run in self.runs if run.id == job]


@dataclass(frozen=True)
class Held:
    """A job in the queue: pending, delayed (until `at`) or reserved (back in the queue at `at`)."""

    id: str
    uuid: str | None
    attempts: int
    at: float | None = None


@dataclass(frozen=True)
class FailedJob:
    """A row of `failed_jobs`; `reason` is the first line of its exception."""

    id: str
    uuid: str
    failed_at: float
    reason: str


@dataclass(frozen=True)
class Foreign:
    """The failed jobs that are not the exercise's. `uuids` are the first thousand, `digest` is of all."""

    count: int
    digest: str
    uuids: tuple[str, ...]


@dataclass(frozen=True)
class Lock:
    """A unique job's lock that is held. `ids`: whose; `ttl`: seconds, -1 for ever."""

    key: str
    lock: str
    ids: tuple[str, ...]
    ttl: int


@dataclass(frozen=True)
class Worker:
    """The settings that a worker runs with: `retry_after` is the queue's, the others stand on its command line."""

    task: str
    tries: int
    timeout: int
    retry_after: int | None
    sleep: float = 0.0
    backoff: str = ""
    connection: str = ""
    queue: str = ""


@dataclass(frozen=True)
class MessageQueue:
    """What a queue in SQS is set to. The dead-letter queue's are None where there is none.

    Attributes:
        visibility_timeout: for how many seconds a message that somebody received is kept from others.
        retention: for how many seconds a message is kept at all.
        max_receives: how often a message is received before it goes to the dead-letter queue.
        dead_letter_retention: for how many seconds that one keeps it, from when it was first sent.
    """

    visibility_timeout: int
    retention: int
    max_receives: int | None = None
    dead_letter_retention: int | None = None


@dataclass(frozen=True)
class QueueState:
    """The queue at one moment.

    Attributes:
        at: when.
        keys: place to name, prefix and all.
        counts: jobs in each of the places, whosever they are; with SQS approximately.
        pending, delayed, reserved, failed: the exercise's.
        foreign: failed jobs that are not.
        locks: the exercise's that are held.
        paused, maintenance: why workers may rightly take no job.
        workers: those alive, with their settings.
        cache: of its INFO: run_id, role, maxmemory_policy, aof_enabled, evicted_keys, uptime_in_seconds; empty where
            the queue is in none.
        dead: the exercise's jobs in the dead-letter queue.
        message_queue: where the queue is SQS's, what it is set to. SQS shows no message: where the exercise's pending,
            delayed and reserved jobs are is then what the application concludes from its ledger.
    """

    at: float
    keys: Mapping[str, str]
    counts: Mapping[str, int]
    pending: tuple[Held, ...]
    delayed: tuple[Held, ...]
    reserved: tuple[Held, ...]
    failed: tuple[FailedJob, ...]
    foreign: Foreign
    locks: tuple[Lock, ...] = ()
    paused: bool = False
    maintenance: bool = False
    workers: tuple[Worker, ...] = ()
    cache: Mapping[str, Any] = field(default_factory=dict)
    dead: tuple[Held, ...] = ()
    message_queue: MessageQueue | None = None

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> QueueState:
        """From what `dr:queue` prints, or the page answers under `queue`."""
        own, foreign = told["own"], told["foreign_failed"]
        return cls(
            at=told["at"],
            keys=told["keys"],
            counts=told["counts"],
            pending=_held(own["pending"]),
            delayed=_held(own["delayed"], "due_at"),
            reserved=_held(own["reserved"], "back_at"),
            failed=tuple(FailedJob(**row) for row in own["failed"]),
            foreign=Foreign(foreign["count"], foreign["digest"], tuple(foreign["uuids"])),
            locks=tuple(Lock(row["key"], row["lock"], tuple(row["ids"]), row["ttl"]) for row in told["locks"]),
            paused=told["paused"],
            maintenance=told["maintenance"],
            workers=tuple(Worker(**row) for row in told["workers"]),
            cache=dict(told["cache"]),
            dead=_held(own.get("dead", ())),
            message_queue=MessageQueue(**told["message_queue"]) if told.get("message_queue") else None,
        )

    @property
    def queued(self) -> frozenset[str]:
        """The exercise's jobs that a worker will still take, or has taken."""
        return frozenset(held.id for held in (*self.pending, *self.delayed, *self.reserved))

    @property
    def held(self) -> frozenset[str]:
        """The exercise's jobs in any of the places."""
        return self.queued | {job.id for job in self.failed} | {job.id for job in self.dead}


@dataclass(frozen=True)
class Page:
    """What the application's page answers of an exercise: the queue, and the ledger as it was after that."""

    queue: QueueState
    ledger: Ledger

    @property
    def empty(self) -> bool:
        """Whether nothing of the exercise is left: no job in any place, no lock, no row."""
        return self.ledger.empty and not self.queue.held and not self.queue.locks


def _held(rows: Iterable[Mapping[str, Any]], at: str = "") -> tuple[Held, ...]:
    return tuple(Held(row["id"], row["uuid"], row["attempts"], row.get(at)) for row in rows)
