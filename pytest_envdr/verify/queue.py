"""A ledger held against what was ordered, and a queue against what was there before: differences as a list.

An empty queue proves nothing, and `failed_jobs` no more: a job that fails while the database is away is in neither
(Laravel takes it out of the queue first). Only the outbox knows what there ought to be.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_envdr.ledger import FailedJob, Held, Job, Ledger, MessageQueue, QueueState, Worker

__all__ = ["Difference", "Kind", "check_settings", "differences"]

Kind: TypeAlias = Literal[
    "not-queued",
    "lost",
    "unfinished",
    "failed",
    "effect-missing",
    "effect-twice",
    "effect-unexpected",
    "wrong-tenant",
    "executed-twice",
    "new-id",
    "stuck",
    "foreign-gone",
    "retry-after",
    "timeout",
    "tries",
    "eviction",
    "dead",
    "visibility",
    "receives",
    "no-dead-letters",
    "retention",
    "delay",
]
SENTENCES: dict[Kind, str] = {
    "not-queued": "Job {subject} was never queued: {actual}; it can be made again from the outbox",
    "lost": "Job {subject} is lost: it has no effect and is in no place of the queue; it can be made again from the "
    "outbox",
    "unfinished": "Job {subject} is not done: it is still {actual}",
    "failed": "Job {subject} failed and was not retried: {actual}",
    "effect-missing": "Job {subject}: run {actual} says that it is done, and its effect is not there",
    "effect-twice": "Job {subject} had its effect {actual} times, expected {expected}",
    "effect-unexpected": "Job {subject} had an effect, and was to fail in every run",
    "wrong-tenant": "Job {subject} worked for {actual}, and was {expected}'s: jobs that are retried lose their tenant",
    "executed-twice": "Job {subject} was executed {actual} times, expected {expected}",
    "new-id": "Job {subject} was retried under a new id: {actual}, dispatched as {expected}",
    "stuck": "Lock {subject} was left behind and {actual}: until then new jobs of that name are skipped without a word",
    "foreign-gone": "Failed job {subject}, which is not the exercise's, was retried or deleted",
    "retry-after": "Worker {subject}: retry_after is {actual}, and must be more than {expected}: jobs may be executed "
    "twice",
    "timeout": "Worker {subject}: its timeout is {actual}, and must be more than {expected}: jobs are killed half-way",
    "tries": "Worker {subject}: a job has {actual} try: one whose worker is killed fails without being run again",
    "eviction": "Cache {subject}: its maxmemory-policy is {actual}, expected {expected}: jobs may be evicted",
    "dead": "Job {subject} is in the dead-letter queue and was not put back",
    "visibility": "Worker {subject}: the queue's visibility timeout is {actual}, and must be more than {expected}: "
    "jobs may be executed twice",
    "receives": "Worker {subject}: a job is received {actual} times at most, and tried {expected} times: what its last "
    "try kills ends in the dead-letter queue, and queue:failed does not show it",
    "no-dead-letters": "Queue {subject} has no dead-letter queue: what no worker can receive alive comes back until it "
    "expires",
    "retention": "Queue {subject} keeps messages for {actual}, expected {expected}: after that they are deleted "
    "without a word",
    "delay": "Queue {subject} takes no job that is delayed by more than {expected}, and one is by {actual}",
}
HARMLESS: frozenset[Kind] = frozenset({"executed-twice", "new-id", "tries", "receives", "no-dead-letters", "retention"})
DAY_SECONDS = 86_400
LONGEST_DELAY_SECONDS = 900
"""SQS's."""


@dataclass(frozen=True, order=True)
class Difference:
    """One thing that is not as expected.

    Attributes:
        subject: a job's business id, a lock's key, a failed job's uuid, a worker or a cache.
        kind: see `SENTENCES`.
        expected, actual: in words; "" where the kind says it all.
    """

    subject: str
    kind: Kind
    expected: str = ""
    actual: str = ""

    @property
    def harmless(self) -> bool:
        """Whether no work was lost and no effect doubled by it: worth telling, and no failure."""
        return self.kind in HARMLESS

    def __str__(self) -> str:
        """One plain sentence."""
        sentence = SENTENCES[self.kind].format(subject=self.subject, expected=self.expected, actual=self.actual)
        return f"{sentence}."


def differences(ledger: Ledger, queue: QueueState, *, before: QueueState) -> list[Difference]:
    """What is not as it was ordered, once all should be done.

    Args:
        ledger: of the exercise, read after the queue: a job that was done in between is not lost.
        queue: as it is.
        before: as it was before the exercise; what had failed by then must still be there.
    """
    found = [difference for job in ledger.jobs for difference in _of_job(job, ledger, queue)]
    return [*found, *_stuck(queue), *_foreign(before, queue)]


def check_settings(
    queue: QueueState, *, longest_seconds: float, longest_delay_seconds: float = 0.0
) -> list[Difference]:
    """Whether retry_after > timeout > the longest job, for each worker alive; the tries; the cache's eviction. With SQS
    the visibility timeout stands in retry_after's place; and its dead-letter queue, retention and longest delay."""
    found = [difference for worker in queue.workers for difference in _of_worker(worker, longest_seconds)]
    if queue.message_queue is not None:
        found += _of_message_queue(queue, queue.message_queue, longest_seconds, longest_delay_seconds)
    policy = str(queue.cache.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        found.append(Difference(str(queue.cache.get("run_id", "")), "eviction", "noeviction", policy))
    return found


def _of_job(job: Job, ledger: Ledger, queue: QueueState) -> Iterator[Difference]:
    effects = Counter(effect.id for effect in ledger.effects)[job.id]
    runs = ledger.runs_of(job.id)
    if job.works and not effects:
        yield _without_effect(job, ledger, queue)
    if effects > 1:
        yield Difference(job.id, "effect-twice", "1", str(effects))
    if effects and not job.works:
        yield Difference(job.id, "effect-unexpected")
    if job.tenant:
        yield from _wrong_tenant(job, job.tenant, ledger)
    # Runs that failed as ordered are no duplicates: the framework was asked for another.
    executed = sum(run.outcome != "failed" for run in runs)
    if executed > 1:
        yield Difference(job.id, "executed-twice", "1", str(executed))
    yield from _new_id(job, ledger, queue)


def _without_effect(job: Job, ledger: Ledger, queue: QueueState) -> Difference:
    """Why a job has none: the first reason that holds."""
    done = [run for run in ledger.runs_of(job.id) if run.outcome == "done"]
    if done:
        return Difference(job.id, "effect-missing", actual=str(done[0].run))
    places = (("pending", queue.pending), ("delayed", queue.delayed), ("reserved", queue.reserved))
    for place, held in places:
        if job.id in {one.id for one in held}:
            return Difference(job.id, "unfinished", actual=place)
    if job.id in {one.id for one in queue.dead}:
        return Difference(job.id, "dead")
    failed = [one.reason for one in queue.failed if one.id == job.id]
    if failed:
        return Difference(job.id, "failed", actual=failed[0])
    if job.uuid is None:
        why = "the lock of its name was held" if job.kind == "unique" else "the queue did not take it"
        return Difference(job.id, "not-queued", actual=why)
    return Difference(job.id, "lost")


def _wrong_tenant(job: Job, wanted: str, ledger: Ledger) -> Iterator[Difference]:
    """Of a tenant's job: where it worked by the word of the database that it found itself in."""
    for tenant in sorted({effect.tenant or "no tenant" for effect in ledger.effects if effect.id == job.id}):
        if tenant != wanted:
            yield Difference(job.id, "wrong-tenant", wanted, tenant)


def _new_id(job: Job, ledger: Ledger, queue: QueueState) -> Iterator[Difference]:
    """Of a job that was dispatched once. (The outbox keeps the last dispatch's id only.)"""
    if job.dispatches != 1 or job.uuid is None:
        return
    held: list[Held | FailedJob] = [*queue.pending, *queue.delayed, *queue.reserved, *queue.dead, *queue.failed]
    seen = [run.uuid for run in ledger.runs_of(job.id)] + [one.uuid or "" for one in held if one.id == job.id]
    for uuid in sorted({uuid for uuid in seen if uuid != job.uuid}):
        yield Difference(job.id, "new-id", job.uuid, uuid)


def _stuck(queue: QueueState) -> Iterator[Difference]:
    """Locks that no job in the queue will release. A failed job's was released when it failed."""
    for lock in queue.locks:
        if not queue.queued & set(lock.ids):
            ends = f"ends in {lock.ttl} s" if lock.ttl >= 0 else "never ends"
            yield Difference(lock.key, "stuck", actual=ends)


def _foreign(before: QueueState, after: QueueState) -> Iterator[Difference]:
    """Failed jobs that others wait for. More of them by now are nobody's fault here."""
    was, is_ = before.foreign, after.foreign
    if was.count > len(was.uuids) and is_.count < was.count:
        yield Difference(f"(one of {was.count - is_.count})", "foreign-gone")
    if is_.count <= len(is_.uuids) or was.count <= len(was.uuids):
        yield from (Difference(uuid, "foreign-gone") for uuid in was.uuids if uuid not in set(is_.uuids))


def _of_worker(worker: Worker, longest: float) -> Iterator[Difference]:
    """No timeout (0) means that a job may take as long as it likes; no retry_after that none is ever taken back."""
    if worker.retry_after is not None:
        floor, words = _floor(worker, longest)
        if worker.retry_after <= floor:
            yield Difference(worker.task, "retry-after", words, f"{worker.retry_after} s")
    if worker.timeout and worker.timeout <= longest:
        yield Difference(worker.task, "timeout", f"{longest:g} s of a job", f"{worker.timeout} s")
    if worker.tries == 1:
        yield Difference(worker.task, "tries", "more", "1")


def _floor(worker: Worker, longest: float) -> tuple[float, str]:
    """What a job must be kept from others for, at least; and that in words."""
    return max((worker.timeout, f"the timeout, {worker.timeout} s"), (longest, f"{longest:g} s of a job"))


def _of_message_queue(
    queue: QueueState, settings: MessageQueue, longest: float, longest_delay: float
) -> Iterator[Difference]:
    """The same for what SQS is told, and not the workers. The framework gives a job up, and lists it, when it is
    received once more than it may be tried; but SQS may have taken it away before."""
    name = queue.keys.get("pending", "").rsplit("/", 1)[-1]
    for worker in queue.workers:
        floor, words = _floor(worker, longest)
        if settings.visibility_timeout <= floor:
            yield Difference(worker.task, "visibility", words, f"{settings.visibility_timeout} s")
        if settings.max_receives is not None and worker.tries >= settings.max_receives:
            yield Difference(worker.task, "receives", str(worker.tries), str(settings.max_receives))
    if settings.max_receives is None:
        yield Difference(name, "no-dead-letters")
    if settings.retention < DAY_SECONDS:
        yield Difference(name, "retention", f"{DAY_SECONDS} s or more", f"{settings.retention} s")
    kept = settings.dead_letter_retention
    if kept is not None and kept <= settings.retention:
        dead = queue.keys.get("dead", "").rsplit("/", 1)[-1]
        yield Difference(dead, "retention", f"more than the {settings.retention} s of {name}", f"{kept} s")
    if longest_delay > LONGEST_DELAY_SECONDS:
        yield Difference(name, "delay", f"{LONGEST_DELAY_SECONDS} s", f"{longest_delay:g} s")
