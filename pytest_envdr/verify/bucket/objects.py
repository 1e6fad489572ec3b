"""One unit of work: some keys of the merged inventories, compared as deep as was asked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias, cast

from pytest_envdr.verify.bucket import content
from pytest_envdr.verify.bucket.differences import Difference, Kind
from pytest_envdr.verify.bucket.sources import Attributes, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_envdr.verify.bucket.sources import Depth, Entry, Source

Pair: TypeAlias = "tuple[Entry | None, Entry | None]"


@dataclass
class Examined:
    """What one unit came to: the differences in key order, the requests made, how many keys were looked at."""

    differences: list[Difference] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)
    keys: int = 0


@dataclass
class Unit:
    """Some pairs at work. `trusted` remembers, per side, whether its counts of tags are believed."""

    expected: Source
    actual: Source
    depth: Depth
    requests: Counter[str] = field(default_factory=Counter)
    trusted: tuple[set[str], set[str]] = field(default_factory=lambda: (set(), set()))

    def differences(self, expected: Entry | None, actual: Entry | None) -> Iterator[Difference]:
        """Of one key."""
        if expected is None or actual is None:
            yield self._one_sided(expected, actual)
            return
        yield from _listed(expected, actual)
        if self.depth != "listing" or not _settled(expected, actual):
            yield from self._looked_into(expected, actual)

    def _one_sided(self, expected: Entry | None, actual: Entry | None) -> Difference:
        if expected is None:
            entry = cast("Entry", actual)
            return Difference(entry.key, "extra", actual=f"{entry.size} bytes")
        found = "" if self.depth == "listing" else self.actual.absence(expected.key, self.requests)
        return Difference(expected.key, "missing", expected=f"{expected.size} bytes", actual=found)

    def _looked_into(self, expected: Entry, actual: Entry) -> Iterator[Difference]:
        deep = self.depth != "listing"
        before = self._known(self.expected, expected, self.trusted[0] if deep else None)
        after = self._known(self.actual, actual, self.trusted[1] if deep else None)
        if isinstance(before, str) or isinstance(after, str):
            sides = [one if isinstance(one, str) else "readable" for one in (before, after)]
            yield Difference(expected.key, "unreadable", "the object", *sides)
            return
        if deep:
            yield from _facts(expected.key, before, after)
        if expected.size == actual.size:
            yield from self._contents((expected, before), (actual, after))

    def _known(self, source: Source, entry: Entry, trusted: set[str] | None) -> Attributes | str:
        """What is stored with an object, or why that cannot be read."""
        try:
            return source.attributes(entry, self.requests, trusted)
        except Unreadable as error:
            return str(error)

    def _contents(self, expected: tuple[Entry, Attributes], actual: tuple[Entry, Attributes]) -> Iterator[Difference]:
        """By what is known; by bytes where that was asked for, or where nothing else tells."""
        (entry, before), (other, after) = expected, actual
        equal = content.opinion(before, after)
        if self.depth == "bytes" or equal is None:
            digests = [self._digest(self.expected, entry, before), self._digest(self.actual, other, after)]
            refused = [one if isinstance(one, Unreadable) else None for one in digests]
            if any(refused):
                yield Difference(entry.key, "unreadable", "its content", *(str(one or "readable") for one in refused))
                return
            before, after = (
                replace(one, sha256=cast("str | None", digest))
                for one, digest in zip((before, after), digests, strict=True)
            )
            equal = _seen(before, after, equal, deep=self.depth == "bytes")
        yield from _judged(entry.key, before, after, equal=equal)

    def _digest(self, source: Source, entry: Entry, known: Attributes) -> str | Unreadable | None:
        try:
            return known.sha256 or source.digest(entry, self.requests)
        except Unreadable as error:
            return error


def _seen(before: Attributes, after: Attributes, equal: bool | None, *, deep: bool) -> bool | None:  # noqa: FBT001 (an opinion)
    """The opinion with the bytes. Where they were asked for and one side has none, no other opinion stands for them."""
    if before.sha256 is None or after.sha256 is None:
        return False if equal is False else None if deep else equal
    return content.opinion(before, after)


def _judged(key: str, before: Attributes, after: Attributes, *, equal: bool | None) -> Iterator[Difference]:
    if not equal:
        kind: Kind = "unverified" if equal is None else "content"
        yield Difference(key, kind, "", content.words(before, after), content.words(after, before))


def _listed(expected: Entry, actual: Entry) -> Iterator[Difference]:
    """What the listings themselves tell apart."""
    key = expected.key
    if expected.size != actual.size:
        yield Difference(key, "size", "", f"{expected.size} bytes", f"{actual.size} bytes")
    if expected.storage_class != actual.storage_class:
        yield Difference(key, "storage-class", "", expected.storage_class, actual.storage_class)
    known = expected.versions is not None and actual.versions is not None
    if known and expected.versions != actual.versions:
        yield Difference(key, "versions", "", str(expected.versions), str(actual.versions))


def _settled(expected: Entry, actual: Entry) -> bool:
    """Whether the listings leave nothing to ask about the content."""
    return expected.size != actual.size or content.settled_by_listing(expected, actual)


def _facts(key: str, expected: Attributes, actual: Attributes) -> Iterator[Difference]:
    """Entry by entry, of the kinds that both sides know; a kind that one of them refuses to tell is told as such."""
    for kind in sorted(expected.unread.keys() | actual.unread.keys()):
        sides = (one.unread.get(kind, "readable") for one in (expected, actual))
        yield Difference(key, "unreadable", f"its {kind}", *sides)
    for kind in sorted(expected.facts.keys() & actual.facts.keys()):
        before, after = expected.facts[kind], actual.facts[kind]
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) != after.get(name):
                yield Difference(key, cast("Kind", kind), name, before.get(name, ""), after.get(name, ""))


def examine(expected: Source, actual: Source, depth: Depth, pairs: Sequence[Pair]) -> Examined:
    """Compare some keys: a unit of work that knows nothing of the others, and can be sent to another process."""
    unit = Unit(expected, actual, depth)
    found = [difference for pair in pairs for difference in unit.differences(*pair)]
    return Examined(found, unit.requests, len(pairs))
