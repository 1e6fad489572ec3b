"""What counts as a difference, and how hard is looked for one."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Options"]

OPERATORS = frozenset({"rdsadmin", "mariadb.sys", "root", "mysql", "rdsrepladmin", "rdstopmgr", "PUBLIC"})
"""Accounts of the server's operator: each server has its own."""


@dataclass(frozen=True)
class Options:
    """What is compared.

    Attributes:
        declared: tables that are written to meanwhile, as "table" (in any database) or "database.table": that they are
            there, their definition and CHECK TABLE count, their rows do not.
        check: have CHECK TABLE read every page of the actual side, indexes too.
        accounts: compare users, their grants and passwords, which belong to the server and not to a database.
        ignored_accounts: user names that are the operator's own.
        any_password: user names whose password may differ.
        definers: whether who defined a view, a routine, a trigger or an event counts.
        auto_increment: whether the next AUTO_INCREMENT value counts.
        rows: how many differing rows of a table are named at most.
        part: about how many rows of a large table are one unit of work; a table of twice as many is large.
    """

    declared: frozenset[str] = frozenset()
    check: bool = True
    accounts: bool = False
    ignored_accounts: frozenset[str] = OPERATORS
    any_password: frozenset[str] = frozenset()
    definers: bool = True
    auto_increment: bool = True
    rows: int = 20
    part: int = 100_000

    def is_declared(self, database: str, table: str) -> bool:
        """Whether a table's rows do not count."""
        return table in self.declared or f"{database}.{table}" in self.declared
