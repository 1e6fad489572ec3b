"""Who the stack's tenants are, as its central database says, and which of them a drill may damage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_envdr import mariadb
from pytest_envdr.errors import Refused

if TYPE_CHECKING:
    from pytest_envdr.aws import Aws
    from pytest_envdr.mariadb import Server
    from pytest_envdr.tables import Database, DrillTenant


@dataclass(frozen=True)
class Tenant:
    """A tenant: its slug, its database, its bucket ("" where it has none)."""

    slug: str
    database: str
    bucket: str


@dataclass(frozen=True)
class Tenancy:
    """All tenants, and the one that the drill is about.

    Attributes:
        database: the stack file's table.
        row: the stack file's table of the drill's tenant.
        subject: the drill's tenant.
        others: everybody else.
    """

    database: Database
    row: DrillTenant
    subject: Tenant
    others: tuple[Tenant, ...]

    @property
    def neighbours(self) -> tuple[str, ...]:
        """The databases that must stay as they are: the central one, and the others'."""
        return (self.database.central, *(tenant.database for tenant in self.others))


def tenants(server: Server, row: Database) -> tuple[Tenant, ...]:
    """Every tenant, as the central database lists them."""
    with mariadb.session(server, database=row.central) as cursor:
        cursor.execute(row.tenants)
        return tuple(Tenant(str(slug), str(name), str(bucket or "")) for slug, name, bucket in cursor.fetchall())


def tenancy(aws: Aws, server: Server) -> Tenancy:
    """The stack's tenants.

    Raises:
        StackFileError: the stack file does not name database and drill tenant.
        Refused: the central database does not know the drill's tenant.
    """
    aws.stack.needs("database", "drill_tenant")
    database, row = aws.stack.database, aws.stack.drill_tenant
    if database is None or row is None:  # for the type checker: `needs` refused it
        raise Refused("Nothing was touched: the stack file names no tenant.")
    everyone = tenants(server, database)
    subject = next((tenant for tenant in everyone if tenant.slug == row.slug), None)
    if subject is None:
        known = ", ".join(tenant.slug for tenant in everyone[:20])
        raise Refused(
            f"Nothing was touched: there is no tenant {row.slug}; there are {known} ({len(everyone)}).\n"
            f"Looked at: `{database.tenants}` in {database.central}; {aws.stack.path}: drill_tenant.slug"
        )
    return Tenancy(database, row, subject, tuple(tenant for tenant in everyone if tenant is not subject))
