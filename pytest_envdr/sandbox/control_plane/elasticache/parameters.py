"""Cache parameter groups that really set server variables, on running servers where the server can.

Those that a queue or a cache depends on; one that is not here cannot be set. The User Guide says that AOF "isn't
supported on Redis versions 2.8.22 and later" and that a group with Multi-AZ excludes it; here a newer single node has
it, that a drill can tell a node which keeps its data from one that does not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.elasticache.exceptions import (
    ElastiCacheException,
    InvalidParameterCombinationException,
    InvalidParameterValueException,
)

from pytest_envdr.sandbox.data_plane.redis import version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

IN_SYNC, PENDING_REBOOT = "in-sync", "pending-reboot"
POLICIES = "noeviction,allkeys-lru,allkeys-lfu,allkeys-random,volatile-lru,volatile-lfu,volatile-random,volatile-ttl"


@dataclass(frozen=True)
class Parameter:
    """A parameter of the engine: `allowed` as the API writes it, names after commas or `from-to`."""

    name: str
    default: str
    allowed: str
    needs_reboot: bool = False

    @property
    def is_number(self) -> bool:
        return self.allowed[:1].isdigit()

    def takes(self, value: str) -> bool:
        """Whether it may have that value."""
        if not self.is_number:
            return value in self.allowed.split(",")
        low, _, high = self.allowed.partition("-")
        return value.isdigit() and int(low) <= int(value) <= int(high)


KNOWN = {
    parameter.name: parameter
    for parameter in (
        Parameter("appendfsync", "everysec", "always,everysec,no"),
        Parameter("appendonly", "no", "yes,no"),
        Parameter("databases", "16", "1-1200000", needs_reboot=True),
        Parameter("lazyfree-lazy-eviction", "no", "yes,no"),
        Parameter("maxmemory-policy", "volatile-lru", POLICIES),
        Parameter("maxmemory-samples", "3", "1-2147483647"),
        Parameter("slowlog-log-slower-than", "10000", "0-2147483647"),
        Parameter("slowlog-max-len", "128", "0-2147483647"),
        Parameter("tcp-keepalive", "300", "0-2147483647"),
        Parameter("timeout", "0", "0-2147483647"),
    )
}


@dataclass
class ParameterGroup:
    """A group, with its attributes as the API names them; `values` is what it says otherwise than the engine."""

    cache_parameter_group_name: str
    cache_parameter_group_family: str
    description: str
    arn: str
    values: dict[str, str] = field(default_factory=dict)
    is_global: bool = False


def family() -> str:
    """The family that the installed server is of, such as `redis7`."""
    major = version().split(".")[0]
    return f"redis{major}.x" if major == "6" else f"redis{major}"


DEFAULT_PREFIX = "default."


def fault(code: str, message: str) -> ElastiCacheException:
    """An error of the API."""
    return ElastiCacheException(code, message)


class ParameterGroups:
    """The groups of one account in one Region; the engine's default one is there from the start."""

    def __init__(self, arn_prefix: str) -> None:
        self._arn_prefix = arn_prefix
        self._groups: dict[str, ParameterGroup] = {}

    def find(self, name: str | None) -> ParameterGroup:
        """A group; the default one for None. Raises CacheParameterGroupNotFound."""
        wanted = name or DEFAULT_PREFIX + family()
        if wanted == DEFAULT_PREFIX + family() and wanted not in self._groups:
            self._add(wanted, f"Default parameter group for {family()}")
        if wanted not in self._groups:
            raise fault("CacheParameterGroupNotFound", f"CacheParameterGroup {wanted} not found.")
        return self._groups[wanted]

    def described(self, name: str | None) -> list[ParameterGroup]:
        """DescribeCacheParameterGroups."""
        self.find(None)
        return [self.find(name)] if name else list(self._groups.values())

    def create(self, name: str, of_family: str, description: str) -> ParameterGroup:
        """CreateCacheParameterGroup. Raises InvalidParameterValue or CacheParameterGroupAlreadyExists."""
        if of_family != family():
            raise InvalidParameterValueException(f"CacheParameterGroupFamily {of_family} is not a valid family.")
        if name.startswith(DEFAULT_PREFIX):
            raise InvalidParameterValueException("The parameter CacheParameterGroupName is not a valid identifier.")
        if name in self._groups:
            raise fault("CacheParameterGroupAlreadyExists", f"CacheParameterGroup {name} already exists.")
        return self._add(name, description)

    def set_all(self, name: str, rows: Iterable[Mapping[str, Any]], *, multi_az: bool) -> None:
        """ModifyCacheParameterGroup: all rows or none; `multi_az`: a group with automatic failover has it.

        Raises InvalidParameterValue, InvalidParameterCombination or InvalidCacheParameterGroupState.
        """
        group = self._own(name)
        values = dict(_checked(row) for row in rows)
        if values.get("appendonly") == "yes" and multi_az:
            raise InvalidParameterCombinationException(AOF_OR_FAILOVER)
        group.values |= values

    def reset(self, name: str, rows: Iterable[Mapping[str, Any]] | None) -> None:
        """ResetCacheParameterGroup: those of `rows`, or all for None, as the engine has them."""
        group = self._own(name)
        for parameter in list(group.values) if rows is None else [str(row["ParameterName"]) for row in rows]:
            _known(parameter)
            group.values.pop(parameter, None)

    def delete(self, name: str, *, used: bool) -> None:
        """DeleteCacheParameterGroup. Raises InvalidCacheParameterGroupState."""
        self._own(name)
        if used:
            raise fault(
                "InvalidCacheParameterGroupState",
                f"One or more cache clusters are still members of this parameter group {name}.",
            )
        del self._groups[name]

    def rows(self, name: str, source: str | None) -> list[dict[str, Any]]:
        """DescribeCacheParameters; `source` user, system or engine-default."""
        group = self.find(name)
        found = [_row(parameter, group.values.get(parameter.name)) for parameter in KNOWN.values()]
        return [row for row in found if source in {None, row["Source"]}]

    def _add(self, name: str, description: str) -> ParameterGroup:
        arn = f"{self._arn_prefix}:parametergroup:{name}"
        self._groups[name] = ParameterGroup(name, family(), description, arn)
        return self._groups[name]

    def _own(self, name: str) -> ParameterGroup:
        if name.startswith(DEFAULT_PREFIX):
            raise InvalidParameterValueException(f"The parameter group {name} is a default one and cannot be changed.")
        return self.find(name)


AOF_OR_FAILOVER = "Append-only files (AOF) are not supported where automatic failover is enabled."


def values(group: ParameterGroup, *, needs_reboot: bool) -> tuple[tuple[str, str], ...]:
    """What a group's servers are to have: what can be set while they run, or what cannot."""
    return tuple(
        (name, group.values.get(name, parameter.default))
        for name, parameter in KNOWN.items()
        if parameter.needs_reboot == needs_reboot
    )


def _known(name: str) -> Parameter:
    if name not in KNOWN:
        raise InvalidParameterValueException(f"Could not find parameter with name: {name}")
    return KNOWN[name]


def _checked(row: Mapping[str, Any]) -> tuple[str, str]:
    parameter, value = _known(str(row.get("ParameterName"))), str(row.get("ParameterValue", ""))
    if not parameter.takes(value):
        raise InvalidParameterValueException(
            f"Invalid parameter value: {value} for: {parameter.name} allowed values are: {parameter.allowed}"
        )
    return parameter.name, value


def _row(parameter: Parameter, own: str | None) -> dict[str, Any]:
    return {
        "ParameterName": parameter.name,
        "ParameterValue": parameter.default if own is None else own,
        "Source": "system" if own is None else "user",
        "DataType": "integer" if parameter.is_number else "string",
        "AllowedValues": parameter.allowed,
        "IsModifiable": True,
        "MinimumEngineVersion": "2.8.6",
        "ChangeType": "requires-reboot" if parameter.needs_reboot else "immediate",
    }
