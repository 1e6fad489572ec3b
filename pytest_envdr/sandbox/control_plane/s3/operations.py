"""Which operation a request to S3 is: moto tells its S3 requests apart while it answers them, and names only some."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from moto.core.utils import get_service_model

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from botocore.model import OperationModel

ELSEWHERE = frozenset({"WriteGetObjectResponse", "ListDirectoryBuckets", "CreateSession", "RenameObject"})
"""Operations of other endpoints (Object Lambda, directory buckets) that the model has among S3's own."""


@dataclass(frozen=True)
class _Shape:
    """What tells an operation from the others of its method: where it is, query and headers that it must have."""

    name: str
    on: str
    query: frozenset[tuple[str, str]]
    named: frozenset[str]
    headers: frozenset[str]

    @property
    def particular(self) -> int:
        return 2 * len(self.query) + len(self.named) + len(self.headers)

    def fits(self, query: Mapping[str, str], headers: Collection[str]) -> bool:
        return (
            all(query.get(key) == value for key, value in self.query)
            and self.named <= query.keys()
            and all(header in headers for header in self.headers)
        )


def operation(method: str, *, on: str, query: Mapping[str, str], headers: Collection[str]) -> str:
    """The name of an operation, such as `PutObject`; empty where S3 has none of the kind.

    Args:
        method: the HTTP method.
        on: `service`, `bucket` or `object`.
        query: the query string's parameters.
        headers: the names of the request's headers; it is asked whether they contain some, in any case.
    """
    shapes = [shape for shape in _shapes().get((method, on), ()) if shape.fits(query, headers)]
    return max(shapes, key=lambda shape: shape.particular).name if shapes else ""


@cache
def _shapes() -> dict[tuple[str, str], list[_Shape]]:
    model = get_service_model("s3")
    found: dict[tuple[str, str], list[_Shape]] = {}
    for name in model.operation_names:
        one = model.operation_model(name)
        if not one.deprecated and name not in ELSEWHERE:
            shape = _shape(one)
            found.setdefault((one.http["method"], shape.on), []).append(shape)
    return found


def _shape(one: OperationModel) -> _Shape:
    path, _, literal = one.http["requestUri"].partition("?")
    query = {(key, value) for key, value in parse_qsl(literal, keep_blank_values=True) if key != "x-id"}
    on = "object" if "{Key+}" in path else "bucket" if "{Bucket}" in path else "service"
    asked = one.input_shape
    needed = [asked.members[member].serialization for member in asked.required_members] if asked else []
    return _Shape(
        one.name,
        on,
        frozenset(query),
        frozenset(place["name"] for place in needed if place.get("location") == "querystring"),
        frozenset(place["name"] for place in needed if place.get("location") == "header"),
    )
