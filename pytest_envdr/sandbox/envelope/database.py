"""The stack's databases: a central one, and one a tenant. The schema is the application's own, as SQL files.

What the rows say depends on nothing but the number of tenants and the seed, so that two sandboxes hold the same.
"""

from __future__ import annotations

import functools
import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_envdr.sandbox.data_plane.mariadb import create_database
from pytest_envdr.sandbox.data_plane.mariadb_template import Content
from pytest_envdr.sandbox.envelope.names import PREFIX

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    from pytest_envdr.sandbox.data_plane.mariadb_template import Connect

APPLICATION = Path(__file__).with_name("app")
"""The image: the directory that every task runs from."""
SCHEMA = APPLICATION / "database" / "schema"
MIGRATIONS = APPLICATION / "database" / "migrations"
CENTRAL = "central"
OWNER = "envelope"
CONNECTIONS = 2
"""How many write at once: the server takes a processor for each."""

COMPANIES = (
    "acme",
    "globex",
    "initech",
    "umbrella",
    "hooli",
    "stark",
    "wayne",
    "wonka",
    "tyrell",
    "cyberdyne",
    "soylent",
    "aperture",
    "massive",
    "vandelay",
    "dunder",
    "sterling",
    "pied",
    "oscorp",
    "gringotts",
    "monarch",
)


@dataclass(frozen=True)
class Tenant:
    """A customer of the stack's owner: a database and a bucket of its own."""

    number: int
    slug: str

    @property
    def name(self) -> str:
        return f"{self.slug.capitalize()} & Söhne"

    @property
    def database(self) -> str:
        return f"tenant_{self.slug}"

    @property
    def bucket(self) -> str:
        return f"{PREFIX}-tenant-{self.slug}"


def tenants(count: int) -> tuple[Tenant, ...]:
    """The first `count` tenants; the first twenty are acme, globex, ..."""
    rounds = ((number, *divmod(number - 1, len(COMPANIES))) for number in range(1, count + 1))
    return tuple(Tenant(number, f"{COMPANIES[index]}{turn + 1 if turn else ''}") for number, turn, index in rounds)


def content(count: int, *, seed: int = 1) -> Content:
    """Central and tenant databases with their rows, for the database server to hold from its start."""
    files = sorted([*SCHEMA.glob("*.sql"), *MIGRATIONS.glob("*.php"), Path(__file__)])
    digest = hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()
    return Content(f"{digest} {count} {seed}", OWNER, functools.partial(_load, count=count, seed=seed))


def _load(connect: Connect, *, count: int, seed: int) -> None:
    everyone = tenants(count)
    with connect() as connection, connection.cursor() as cursor:
        _load_central(cursor, everyone)
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        shares = [everyone[first::CONNECTIONS] for first in range(CONNECTIONS)]
        list(pool.map(lambda share: _load_tenants(connect, share, seed), shares))


def _load_tenants(connect: Connect, share: tuple[Tenant, ...], seed: int) -> None:
    schema, rows = _statements("tenant"), _statements("tenant-seed")
    with connect() as connection, connection.cursor() as cursor:
        for tenant in share:
            _use(cursor, tenant.database)
            cursor.execute("SET @slug = %s, @seed = %s", (tenant.slug, seed))
            for statement in [*schema, "START TRANSACTION", *rows, "COMMIT"]:
                cursor.execute(statement)


def _load_central(cursor: Cursor, everyone: tuple[Tenant, ...]) -> None:
    _use(cursor, CENTRAL)
    for statement in [*_statements("central"), *_statements("central-seed")]:
        cursor.execute(statement)
    _load_migrations(cursor)
    cursor.executemany(
        "INSERT INTO tenants (id, slug, name, database_name, bucket, settings, created_at)"
        " VALUES (%s, %s, %s, %s, %s, JSON_OBJECT('locale', 'de', 'beta', %s), '2024-01-01' + INTERVAL %s HOUR)",
        [(t.number, t.slug, t.name, t.database, t.bucket, t.number % 2, t.number) for t in everyone],
    )
    cursor.executemany(
        "INSERT INTO domains (tenant_id, domain, verified_at) VALUES (%s, %s, IF(%s, '2024-02-01', NULL))",
        [(t.number, f"{t.slug}.tenant.envelope.test", t.number % 3) for t in everyone],
    )
    cursor.executemany(
        "INSERT INTO users (tenant_id, name, email, password, created_at)"
        " VALUES (%s, %s, %s, SHA2(%s, 256), '2024-01-01')",
        [(t.number, f"Zoë {n}", f"zoe{n}@{t.slug}.example", f"{t.slug}{n}") for t in everyone for n in (1, 2, 3)],
    )
    cursor.executemany(
        "INSERT INTO subscriptions (tenant_id, plan_id, monthly_price, balance, started_on)"
        " SELECT %s, id, monthly_price, %s / 7, '2024-01-01' FROM plans WHERE id = %s",
        [(t.number, t.number, 1 + t.number % 3) for t in everyone],
    )


def _load_migrations(cursor: Cursor) -> None:
    """Tell Laravel that its migrations have run, in the table that `php artisan migrate:install` makes."""
    cursor.execute(
        "CREATE TABLE migrations (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,"
        " migration VARCHAR(255) NOT NULL, batch INT NOT NULL)"
    )
    cursor.executemany(
        "INSERT INTO migrations (migration, batch) VALUES (%s, 1)",
        [(file.stem,) for file in sorted(MIGRATIONS.glob("*.php"))],
    )


def _use(cursor: Cursor, database: str) -> None:
    cursor.execute(create_database(database))
    cursor.execute(f"USE `{database}`")


def _statements(name: str) -> list[str]:
    """The statements of a schema file. Each ends with a semicolon at a line's end, as none does within one."""
    text = (SCHEMA / f"{name}.sql").read_text(encoding="utf-8")
    return [statement for part in text.split(";\n") if (statement := part.strip())]
