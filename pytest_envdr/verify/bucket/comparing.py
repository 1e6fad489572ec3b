"""Two inventories merged in key order, and the units of work that their keys make."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from pytest_envdr.errors import UsageError
from pytest_envdr.verify.bucket.objects import Examined, Pair, examine
from pytest_envdr.verify.spreading import spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Executor

    from pytest_envdr.verify.bucket.differences import Difference
    from pytest_envdr.verify.bucket.sources import Depth, Entry, Source

UNIT = 50
"""How many keys a unit of work has."""
WINDOW = 32
"""How many units are under way or waiting at a time."""

T = TypeVar("T")


class Comparison:
    """The differences between two sources, found while they are iterated over; in the order of keys.

    Attributes:
        keys: how many keys were looked at so far.
        requests: how many requests were made so far, by operation; a client's retries aside.
    """

    def __init__(self, expected: Source, actual: Source, *, depth: Depth, executor: Executor | None) -> None:
        self._sources = expected, actual
        self._depth = depth
        self._executor = executor
        self.keys = 0
        self.requests: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Difference]:
        """From the beginning."""
        self.keys, self.requests = 0, Counter()
        expected, actual = self._prepared()
        counts = Counter[str](), Counter[str]()  # one each: the two are listed at the same time
        inventories = [
            in_order(pages(source, count, ahead=self._executor is not None))
            for source, count in zip((expected, actual), counts, strict=True)
        ]
        units = batched(merged(*inventories), UNIT)
        work = partial(examine, expected, actual, self._depth)
        for examined in spread(self._executor, work, units, ahead=WINDOW):
            self._count(examined)
            yield from examined.differences
        self.requests += counts[0] + counts[1]

    def _prepared(self) -> tuple[Source, Source]:
        """Both sources, seen to be there; where one of them uses ACLs, both are asked for them."""
        expected, actual = self._sources
        for source in self._sources:
            source.check(self.requests)
        acls = self._depth != "listing" and any(source.uses_acls(self.requests) for source in self._sources)
        return (expected.with_acls(), actual.with_acls()) if acls else self._sources

    def _count(self, examined: Examined) -> None:
        self.keys += examined.keys
        self.requests += examined.requests


def compare(
    expected: Source, actual: Source, *, depth: Depth = "attributes", executor: Executor | None = None
) -> Comparison:
    """Compare two sources; iterate over what it gives. Nothing is asked before that.

    Args:
        expected: what should be there.
        actual: what is there.
        depth: see the package; "listing", "attributes", "bytes".
        executor: where units of 50 keys are worked on, threads or processes; None: one after the other, here. A
            client keeps ten connections, so more threads than ten gain nothing.

    Raises (while iterating):
        NotFound: a bucket is not there.
        AwsError: it belongs to another account; it cannot be listed; throttling or an error of S3 outlasted the
            client's retries.
        UsageError: a manifest is damaged; a source does not list in key order (a directory bucket).
    """
    return Comparison(expected, actual, depth=depth, executor=executor)


def merged(expected: Iterator[Entry], actual: Iterator[Entry]) -> Iterator[Pair]:
    """Pairs of the same key; None for the side that has none."""
    before, after = next(expected, None), next(actual, None)
    while before or after:
        if after is None or (before is not None and before.key < after.key):
            yield before, None
            before = next(expected, None)
        elif before is None or after.key < before.key:
            yield None, after
            after = next(actual, None)
        else:
            yield before, after
            before, after = next(expected, None), next(actual, None)


def in_order(pages: Iterable[list[Entry]]) -> Iterator[Entry]:
    """Entry by entry. The order of code points is that of UTF-8 bytes, which is S3's.

    Raises:
        UsageError: the order is another one, and a merge would find differences that are none.
    """
    last: str | None = None
    for page in pages:
        for entry in page:
            if last is not None and entry.key <= last:
                raise UsageError(f"Key {entry.key!r} is listed after {last!r}: a source must list in key order.")
            last = entry.key
            yield entry


def pages(source: Source, requests: Counter[str], *, ahead: bool) -> Iterator[list[Entry]]:
    """A source's pages; `ahead`: the next one is asked for while this one is worked on."""
    found = source.pages(requests)
    if not ahead:
        yield from found
        return
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, found, None)
        while (page := coming.result()) is not None:
            coming = thread.submit(next, found, None)
            yield page


def batched(items: Iterator[T], size: int) -> Iterator[list[T]]:
    """Some at a time."""
    while batch := list(islice(items, size)):
        yield batch
