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

    from pytest_envdr.ledger import FailedJob, Held, Job, Ledger, QueueState, Worker

__all__ = ["Difference", "Kind", "check_settings", "differences"]

Kind: TypeAlias = Literal[
    "not-queued",
    "lost",
    "unfinished",
    "failed",
    "effect-missing",
    "effect-twice",
    "effect-unexpected",
    "executed-twice",
    "new-id",
    "stuck",
    "foreign-gone",
    "retry-after",
    "timeout",
    "tries",
    "eviction",
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
    "executed-twice": "Job {subject} was executed {actual} times, expected {expected}",
    "new-id": "Job {subject} was retried under a new id: {actual}, dispatched as {expected}",
    "stuck": "Lock {subject} was left behind and {actual}: until then new jobs of that name are skipped without a word",
    "foreign-gone": "Failed job {subject}, which is not the exercise's, was retried or deleted",
    "retry-after": "Worker {subject}: retry_after is {actual}, and must be more than {expected}: jobs may be executed "
    "twice",
    "timeout": "Worker {subject}: its timeout is {actual}, and must be more than {expected}: jobs are killed half-way",
    "tries": "Worker {subject}: a job has {actual} try: one whose worker is killed fails without being run again",
    "eviction": "Cache {subject}: its maxmemory-policy is {actual}, expected {expected}: jobs may be evicted",
}
HARMLESS: frozenset[Kind] = frozenset({"executed-twice", "new-id", "tries"})


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


def check_settings(queue: QueueState, *, longest_seconds: float) -> list[Difference]:
    """Whether retry_after > timeout > the longest job, for each worker alive; the tries; the cache's eviction."""
    found = [difference for worker in queue.workers for difference in _of_worker(worker, longest_seconds)]
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
    failed = [one.reason for one in queue.failed if one.id == job.id]
    if failed:
        return Difference(job.id, "failed", actual=failed[0])
    if job.uuid is None:
        why = "the lock of its name was held" if job.kind == "unique" else "the queue did not take it"
        return Difference(job.id, "not-queued", actual=why)
    return Difference(job.id, "lost")


def _new_id(job: Job, ledger: Ledger, queue: QueueState) -> Iterator[Difference]:
    """Of a job that was dispatched once. (The outbox keeps the last dispatch's id only.)"""
    if job.dispatches != 1 or job.uuid is None:
        return
    held: list[Held | FailedJob] = [*queue.pending, *queue.delayed, *queue.reserved, *queue.failed]
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
        floor, words = max((worker.timeout, f"the timeout, {worker.timeout} s"), (longest, f"{longest:g} s of a job"))
        if worker.retry_after <= floor:
            yield Difference(worker.task, "retry-after", words, f"{worker.retry_after} s")
    if worker.timeout and worker.timeout <= longest:
        yield Difference(worker.task, "timeout", f"{longest:g} s of a job", f"{worker.timeout} s")
    if worker.tries == 1:
        yield Difference(worker.task, "tries", "more", "1")
