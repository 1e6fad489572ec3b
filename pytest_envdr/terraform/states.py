"""A state as far as it may be told: its lineage, serial and resources, never their attributes, which hold secrets."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_envdr.errors import TerraformFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True)
class Held:
    """A resource in a state: its address, its type, and the id that AWS knows it by, with its ARN where it has one.
    `managed` is false for data sources."""

    address: str
    type: str
    id: str
    arn: str
    managed: bool


@dataclass(frozen=True)
class State:
    """A state.

    Attributes:
        lineage: what all states that follow from one another share.
        serial: the higher, the later.
        terraform: the version that wrote it.
        resources: what is in it.
        sha256, md5: of its bytes; the latter is the digest that a lock table keeps.
        size: in bytes.
    """

    lineage: str
    serial: int
    terraform: str
    resources: tuple[Held, ...]
    sha256: str
    md5: str
    size: int

    @property
    def addresses(self) -> frozenset[str]:
        """The addresses of the resources that it manages."""
        return frozenset(held.address for held in self.resources if held.managed)


def state_of(body: bytes, *, where: str = "") -> State:
    """The state that these bytes are; `where` they were read, for the error.

    Raises:
        TerraformFailed: they are no state: truncated, empty, or something else.
    """
    try:
        told = json.loads(body)
        return State(
            str(told["lineage"]),
            int(told["serial"]),
            str(told["terraform_version"]),
            tuple(_held(told["resources"])),
            hashlib.sha256(body).hexdigest(),
            hashlib.md5(body, usedforsecurity=False).hexdigest(),
            len(body),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TerraformFailed.no_state(where, len(body), error) from error


def _held(rows: list[Mapping[str, Any]]) -> Iterator[Held]:
    for row in rows:
        data = "data." if row["mode"] == "data" else ""
        module = f"{row['module']}." if row.get("module") else ""
        for instance in row["instances"]:
            known = instance.get("attributes") or {}
            yield Held(
                f"{module}{data}{row['type']}.{row['name']}{_index(instance)}",
                str(row["type"]),
                str(known.get("id", "")),
                str(known.get("arn") or ""),
                not data,
            )


def _index(instance: Mapping[str, Any]) -> str:
    return f"[{json.dumps(instance['index_key'])}]" if "index_key" in instance else ""
