"""A bucket's inventory in a file: what it held, to be compared when the bucket itself may be gone.

JSON lines: a header; a line an object, in key order; a last line that says how many there were, so that a file that was
cut off is not taken for a smaller bucket.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_envdr.errors import UsageError
from pytest_envdr.verify.bucket import comparing
from pytest_envdr.verify.bucket.sources import Attributes, Entry, Unreadable
from pytest_envdr.verify.spreading import spread

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    from pytest_envdr.verify.bucket.sources import Depth, Source

FORMAT = 1
PAGE = 1000


@dataclass(frozen=True, slots=True)
class Recorded(Entry):
    """An entry with what was recorded of it: its attributes, or why they could not be read."""

    attributes: Attributes | None = None
    refused: str = ""


@dataclass(frozen=True)
class Manifest:
    """What `save` wrote, as a source. Of what it does not hold it tells nothing: see `save`'s `depth`."""

    path: Path

    def check(self, requests: Counter[str]) -> None:  # noqa: ARG002 (a file asks nothing of S3)
        """See that it is a manifest, and whole; reads it once.

        Raises:
            UsageError: it is not.
        """
        for _ in self._rows():
            pass

    def uses_acls(self, requests: Counter[str]) -> bool:  # noqa: ARG002 (as above)
        """Whether ACLs were recorded."""
        return bool(next(self._lines()).get("acls"))

    def with_acls(self) -> Manifest:
        """The same: what was not recorded cannot be asked for."""
        return self

    def pages(self, requests: Counter[str]) -> Iterator[list[Entry]]:  # noqa: ARG002 (as above)
        """The entries in the file's order."""
        return comparing.batched((_recorded(row) for row in self._rows()), PAGE)

    def attributes(self, entry: Entry, requests: Counter[str], trusted: set[str] | None) -> Attributes:  # noqa: ARG002
        """What was recorded."""
        known = entry.attributes if isinstance(entry, Recorded) else None
        if known is None:
            reason = entry.refused if isinstance(entry, Recorded) else ""
            raise Unreadable(reason or "the manifest has no attributes")
        return known

    def digest(self, entry: Entry, requests: Counter[str]) -> str | None:  # noqa: ARG002 (as above)
        """None: what was recorded is in the attributes."""
        return None

    def absence(self, key: str, requests: Counter[str]) -> str:  # noqa: ARG002 (as above)
        """Nothing."""
        return ""

    def _rows(self) -> Iterator[dict[str, Any]]:
        """The lines between the first and the last, both checked."""
        counted, ended = 0, False
        for number, row in enumerate(self._lines()):
            if number == 0:
                self._check_header(row)
            elif "objects" in row:
                ended = row["objects"] == counted
            else:
                counted, ended = counted + 1, False
                yield row
        if not ended:
            raise self._damaged("it does not end as a manifest does, so part of it is missing")

    def _lines(self) -> Iterator[dict[str, Any]]:
        try:
            with self.path.open(encoding="utf-8") as lines:
                for line in lines:
                    yield json.loads(line)
        except (OSError, ValueError) as error:
            raise self._damaged(str(error)) from error

    def _check_header(self, row: Mapping[str, Any]) -> None:
        if row.get("manifest") != FORMAT:
            raise self._damaged(f"its first line is no header of format {FORMAT}")

    def _damaged(self, why: str) -> UsageError:
        return UsageError(f"The manifest cannot be used: {why}.\nLooked at: {self.path}")


def save(source: Source, path: Path, *, depth: Depth = "attributes", executor: Executor | None = None) -> int:
    """Write a source's inventory to a file; it appears under its name when it is whole.

    Args:
        source: a bucket.
        path: the file; its directory must be there.
        depth: "listing" can later be compared at that depth only; "attributes" has all that S3 tells, contents by
            checksum or MD5; "bytes" has the SHA-256 of every object too.
        executor: as `compare`'s.

    Returns:
        How many objects there were.

    Raises:
        AwsError, NotFound: as `compare`.
    """
    requests: Counter[str] = Counter()
    source.check(requests)
    acls = depth != "listing" and source.uses_acls(requests)
    source = source.with_acls() if acls else source
    entries = comparing.in_order(comparing.pages(source, requests, ahead=executor is not None))
    work = partial(rows, source, depth)
    count = 0
    part = path.with_name(f"{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        file.write(json.dumps({"manifest": FORMAT, "depth": depth, "acls": acls}) + "\n")
        for batch in spread(executor, work, comparing.batched(entries, comparing.UNIT), ahead=comparing.WINDOW):
            count += len(batch)
            file.writelines(f"{json.dumps(row)}\n" for row in batch)
        file.write(json.dumps({"objects": count}) + "\n")
    part.replace(path)
    return count


def rows(source: Source, depth: Depth, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Some lines: a unit of work."""
    requests: Counter[str] = Counter()
    trusted: set[str] = set()
    return [asdict(_described(source, depth, entry, requests, trusted)) for entry in entries]


def _described(source: Source, depth: Depth, entry: Entry, requests: Counter[str], trusted: set[str]) -> Recorded:
    recorded = Recorded(**{name: getattr(entry, name) for name in Entry.__dataclass_fields__})
    if depth == "listing":
        return recorded
    try:
        known = source.attributes(entry, requests, trusted)
        if depth == "bytes":
            known = replace(known, sha256=source.digest(entry, requests))
    except Unreadable as error:
        return replace(recorded, refused=str(error))
    return replace(recorded, attributes=known)


def _recorded(row: dict[str, Any]) -> Entry:
    known = row.pop("attributes")
    return Recorded(**row, attributes=Attributes(**known) if known else None)
