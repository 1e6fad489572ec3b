"""What is in a bucket, in order, a page at a time: moto sorts and copies all keys for each page."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.s3.models import FakeDeleteMarker, FakeKey
from moto.s3.utils import _VersionedKeyStore

if TYPE_CHECKING:
    from collections.abc import Iterator


class SortedKeys(_VersionedKeyStore):
    """moto's store of keys, which also keeps their names in S3's order (of code points, as of UTF-8's bytes)."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __setitem__(self, key: str, value: Any) -> None:
        self._add(key)
        super().__setitem__(key, value)

    def setlist(self, key: Any, list_: Any) -> None:
        """Keep these versions of a key, the oldest first."""
        self._add(key)
        super().setlist(key, list_)

    def pop(self, key: str) -> None:  # type: ignore[override] # moto's has this form
        """Forget a key.

        Raises:
            KeyError: there is none.
        """
        super().pop(key)
        del self.names[bisect_left(self.names, key)]

    def _add(self, key: str) -> None:
        if not dict.__contains__(self, key):
            insort(self.names, key)


@dataclass
class Page:
    """One answer's worth.

    Attributes:
        entries: objects or versions (`FakeKey`, `FakeDeleteMarker`) and whether each is its key's latest.
        prefixes: common prefixes.
        last: key (or common prefix) and version id of what came last; set where more follows.
    """

    entries: list[tuple[Any, bool]] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    last: tuple[str, str] | None = None


@dataclass(frozen=True)
class Wanted:
    """What a page shall hold: at most `limit` keys with that `prefix`, after a marker, rolled up at `delimiter`."""

    prefix: str = ""
    delimiter: str = ""
    after: str = ""
    version: str = ""
    limit: int = 1000


def objects(keys: SortedKeys, wanted: Wanted) -> Page:
    """The next current objects; a key whose latest version is a delete marker is none."""
    return _page(wanted, _objects(keys, wanted))


def versions(keys: SortedKeys, wanted: Wanted) -> Page:
    """The next versions and delete markers, of each key the newest first."""
    return _page(wanted, _versions(keys, wanted))


def _page(wanted: Wanted, found: Iterator[tuple[str, Any, bool]]) -> Page:
    page, last = Page(), ("", "")
    if wanted.limit <= 0:
        return page
    for count, (name, entry, latest) in enumerate(found):
        if count == wanted.limit:
            page.last = last
            return page
        last = (name, entry.version_id if entry is not None else "")
        if entry is None:
            page.prefixes.append(name)
        else:
            page.entries.append((entry, latest))
    return page


def _objects(keys: SortedKeys, wanted: Wanted) -> Iterator[tuple[str, Any, bool]]:
    for name, first, end in _walk(keys.names, wanted, _start(keys.names, wanted, whole_keys=True)):
        if first is not None:
            if any(isinstance(keys[one], FakeKey) for one in keys.names[first:end]):
                yield name, None, False
        elif isinstance(keys[name], FakeKey):
            yield name, keys[name], True


def _versions(keys: SortedKeys, wanted: Wanted) -> Iterator[tuple[str, Any, bool]]:
    for name, first, _ in _walk(keys.names, wanted, _start(keys.names, wanted, whole_keys=not wanted.version)):
        if first is not None:
            yield name, None, False
            continue
        rows = keys.getlist(name)[::-1]
        skipped = 0
        if wanted.version and name == wanted.after:
            ids = [row.version_id for row in rows]
            skipped = 1 + ids.index(wanted.version) if wanted.version in ids else len(rows)
        for index, row in enumerate(rows[skipped:], start=skipped):
            if isinstance(row, FakeKey | FakeDeleteMarker):
                yield name, row, index == 0


def _start(names: list[str], wanted: Wanted, *, whole_keys: bool) -> int:
    """Where the page begins: after the marker, or after all that a common prefix as marker stands for."""
    first = bisect_left(names, wanted.prefix)
    if not wanted.after:
        return first
    rolled_up = wanted.delimiter and wanted.after.endswith(wanted.delimiter)
    if rolled_up and wanted.after.find(wanted.delimiter, len(wanted.prefix)) + len(wanted.delimiter) == len(
        wanted.after
    ):
        return max(first, bisect_left(names, _beyond(wanted.after)))
    return max(first, (bisect_right if whole_keys else bisect_left)(names, wanted.after))


def _walk(names: list[str], wanted: Wanted, index: int) -> Iterator[tuple[str, int | None, int]]:
    """Keys, and common prefixes with the range of names that each stands for."""
    while index < len(names) and names[index].startswith(wanted.prefix):
        name = names[index]
        cut = name.find(wanted.delimiter, len(wanted.prefix)) if wanted.delimiter else -1
        if cut < 0:
            yield name, None, index
            index += 1
            continue
        folder = name[: cut + len(wanted.delimiter)]
        end = bisect_left(names, _beyond(folder), index)
        yield folder, index, end
        index = end


def _beyond(prefix: str) -> str:
    """The first text after all that begin with a prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
