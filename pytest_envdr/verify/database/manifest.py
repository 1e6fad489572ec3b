"""What a server held at some time: small enough to be kept beside a snapshot, and enough to be compared with."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from pytest_envdr.errors import UsageError

__all__ = ["Content", "Database", "Manifest", "Names"]

FORMAT = 1


@dataclass(frozen=True)
class Content:
    """What was read of one table.

    Attributes:
        definition: see `schema.definition`.
        rows: how many.
        total: the sum of their digests, see `content`.
        auto_increment: the next value, where there is one.
        problem: what CHECK TABLE said, unless it was OK.
        error: why the rest could not be read.
    """

    definition: str = ""
    rows: int = 0
    total: int = 0
    auto_increment: int | None = None
    problem: str = ""
    error: str = ""

    @property
    def digest(self) -> str:
        """The rows in 16 digits."""
        return hashlib.sha256(f"{self.rows}:{self.total}".encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Names:
    """What a database consists of, by name."""

    tables: frozenset[str]
    views: frozenset[str]


@dataclass(frozen=True)
class Database:
    """What was read of one database.

    Attributes:
        options: its character set and collation.
        tables: by name.
        objects: definitions of views, routines, triggers and events: {"view totals": ..., "procedure refresh": ...}.
    """

    options: str = ""
    tables: dict[str, Content] = field(default_factory=dict)
    objects: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> Names:
        views = frozenset(label.removeprefix("view ") for label in self.objects if label.startswith("view "))
        return Names(frozenset(self.tables), views)

    def digest(self, *, without: frozenset[str] = frozenset()) -> str:
        """All of it in 16 digits, but for the rows of tables in `without`."""
        said = [self.options, json.dumps(self.objects, sort_keys=True)]
        for table, content in sorted(self.tables.items()):
            said += [table, content.definition, content.error]
            said += [] if table in without else [content.digest, str(content.auto_increment)]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Manifest:
    """What a server held: its databases by name, and its accounts with their grants ("" where they were not read)."""

    databases: dict[str, Database]
    accounts: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """As text. Equal definitions are written once: a thousand tenants are some 700 kB."""
        numbers: dict[str, int] = {}
        databases = {
            name: {
                "options": database.options,
                "objects": database.objects,
                "tables": {
                    table: [numbers.setdefault(one.definition, len(numbers)), *_figures(one)]
                    for table, one in database.tables.items()
                },
            }
            for name, database in self.databases.items()
        }
        document = {
            "format": FORMAT,
            "definitions": list(numbers),
            "databases": databases,
            "accounts": self.accounts,
        }
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Read back what `to_json` wrote.

        Raises:
            UsageError: it is none, or one of another format.
        """
        try:
            document = json.loads(text)
            if document["format"] != FORMAT:
                raise UsageError(f"A manifest of format {document['format']} cannot be read: this is format {FORMAT}.")
            definitions = document["definitions"]
            databases = {name: _database(one, definitions) for name, one in document["databases"].items()}
            return cls(databases, dict(document["accounts"]))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise UsageError(f"This is no manifest of databases: {error!r}.") from error


def _figures(content: Content) -> list[Any]:
    return [content.rows, str(content.total), content.auto_increment, content.problem, content.error]


def _database(document: dict[str, Any], definitions: list[str]) -> Database:
    tables = {
        table: Content(definitions[number], rows, int(total), increment, problem, error)
        for table, (number, rows, total, increment, problem, error) in document["tables"].items()
    }
    return Database(document["options"], tables, dict(document["objects"]))
