"""Parameter groups that really set server variables. User Guide: USER_WorkingWithParamGroups.

A dynamic parameter with ApplyMethod `immediate` is set on the running servers; a static one, or `pending-reboot`, with
the next start, and so is all of a group that an instance was given since its last one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from moto.rds.exceptions import (
    DBParameterGroupNotFoundError,
    InvalidParameterCombination,
    InvalidParameterValue,
    RDSClientError,
)
from moto.rds.models import DBParameterGroup

from pytest_envdr.errors import PartFailed
from pytest_envdr.sandbox.control_plane.rds import variables
from pytest_envdr.sandbox.data_plane import mariadb_variables
from pytest_envdr.sandbox.data_plane.mariadb import version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_envdr.sandbox.control_plane.rds.backend import SandboxRDS
    from pytest_envdr.sandbox.control_plane.rds.instance import Instance

IMMEDIATE, PENDING_REBOOT = "immediate", "pending-reboot"
IN_SYNC, APPLYING = "in-sync", "applying"


def family() -> str:
    """The family that the installed server is of, such as `mariadb10.11`."""
    return "mariadb" + ".".join(version().split(".")[:2])


def find(backend: SandboxRDS, name: str) -> DBParameterGroup:
    """A parameter group; the engine's default one is there from the start.

    Raises:
        RDSClientError: DBParameterGroupNotFound.
    """
    default = f"default.{family()}"
    if name.lower() == default and default not in backend.db_parameter_groups:
        backend.db_parameter_groups[default] = DBParameterGroup(  # type: ignore[abstract]
            backend, default, f"Default parameter group for {family()}", family()
        )
    group = backend.db_parameter_groups.get(name)
    if group is None:
        raise DBParameterGroupNotFoundError(name)
    return group


def check_new(wanted: Mapping[str, Any]) -> None:
    """Raise InvalidParameterValue for a group of which the engine knows nothing."""
    if str(wanted.get("db_parameter_group_name", "")).lower().startswith("default."):
        raise InvalidParameterValue("The parameter DBParameterGroupName is not a valid identifier.")
    if wanted.get("db_parameter_group_family") not in {None, family()}:
        raise InvalidParameterValue(
            f"ParameterGroupFamily {wanted['db_parameter_group_family']} is not a valid parameter group family"
        )


def check_values(wanted: Iterable[Mapping[str, Any]]) -> None:
    """Raise InvalidParameterValue for values that the server's program does not take. Blocks for 50 ms.

    They are tried together: a collation is of one character set only.
    """
    values = {_variable(str(row.get("ParameterName"))).name: str(row.get("ParameterValue", "")) for row in wanted}
    try:
        mariadb_variables.check(values)
    except PartFailed as error:
        wrong = [name for name in values if _wrong(name, values[name])] or list(values)
        shown = ", ".join(f"{values[name]} for: {name}" for name in wrong)
        raise InvalidParameterValue(f"Invalid parameter value: {shown}. {error}") from error


def _wrong(name: str, value: str) -> bool:
    """Whether the server's program does not take that value by itself."""
    try:
        mariadb_variables.check({name: value})
    except PartFailed:
        return True
    return False


def set_all(backend: SandboxRDS, name: str, wanted: Iterable[Mapping[str, Any]]) -> DBParameterGroup:
    """ModifyDBParameterGroup: all of `wanted` (rows as the API has them) or none.

    Raises:
        RDSClientError: DBParameterGroupNotFound, InvalidParameterValue or InvalidParameterCombination.
    """
    group = _changeable(backend, name)
    rows = [_checked(row) for row in wanted]
    for row in rows:
        group.parameters[row["ParameterName"]] = row
    return group


def reset(backend: SandboxRDS, name: str, wanted: Iterable[Mapping[str, Any]] | None) -> DBParameterGroup:
    """ResetDBParameterGroup: those of `wanted`, or all where it is None, as the engine has them.

    Raises:
        RDSClientError: as of `set_all`.
    """
    group = _changeable(backend, name)
    names = list(group.parameters) if wanted is None else [str(row["ParameterName"]) for row in wanted]
    for parameter in names:
        _variable(parameter)
        group.parameters.pop(parameter, None)
    return group


def described(backend: SandboxRDS, name: str, source: str | None) -> list[dict[str, Any]]:
    """DescribeDBParameters: each parameter of the engine, with the group's values; `source` user or engine-default."""
    group = find(backend, name)
    rows = [_row(variable, group.parameters.get(variable.name)) for variable in variables.known().values()]
    return [row for row in rows if source is None or row["Source"] == source]


def delete(backend: SandboxRDS, name: str) -> DBParameterGroup:
    """DeleteDBParameterGroup.

    Raises:
        RDSClientError: DBParameterGroupNotFound; InvalidDBParameterGroupState for one in use, or the engine's own.
    """
    group = find(backend, name)
    if group.name.startswith("default."):
        raise RDSClientError("InvalidDBParameterGroupState", "Default DBParameterGroup cannot be deleted: " + name)
    if any(group in instance.db_parameter_groups() for instance in backend.instances()):
        raise RDSClientError(
            "InvalidDBParameterGroupState",
            "One or more database instances are still members of this parameter group "
            f"{name}, so the group cannot be deleted",
        )
    return backend.db_parameter_groups.pop(name)


def values(instance: Instance) -> dict[str, str]:
    """What an instance's server is to be started with."""
    [group] = instance.db_parameter_groups()
    return variables.DEFAULTS | {name: str(row["ParameterValue"]) for name, row in group.parameters.items()}


def boot(instance: Instance) -> dict[str, str]:
    """The same; the server is being started with it."""
    started_with = values(instance)
    instance.in_effect, instance.refused = dict(started_with), set()
    instance.group_in_effect = instance.db_parameter_groups()[0].name
    return started_with


def to_set(instance: Instance) -> dict[str, str]:
    """What is to be set on the running server now."""
    return {name: value for name, value in _outstanding(instance).items() if _at_once(instance, name)}


def status(instance: Instance) -> str:
    """ParameterApplyStatus."""
    if instance.group_in_effect not in {None, instance.db_parameter_groups()[0].name}:
        return PENDING_REBOOT
    outstanding = _outstanding(instance)
    if any(_at_once(instance, name) for name in outstanding):
        return APPLYING
    return PENDING_REBOOT if outstanding else IN_SYNC


def _outstanding(instance: Instance) -> dict[str, str]:
    """What is not in effect, with the value that is wanted: the engine's own for what the group no longer has."""
    current = instance.in_effect
    if current is None:
        return {}
    wanted = values(instance)
    for name in current.keys() - wanted.keys():
        wanted[name] = variables.known()[name].default or ""
    return {name: value for name, value in wanted.items() if current.get(name) != value}


def _at_once(instance: Instance, name: str) -> bool:
    group = instance.db_parameter_groups()[0]
    if group.name != instance.group_in_effect or variables.known()[name].is_static or name in instance.refused:
        return False
    row = group.parameters.get(name)
    return row is None or row.get("ApplyMethod") == IMMEDIATE


def _changeable(backend: SandboxRDS, name: str) -> DBParameterGroup:
    group = find(backend, name)
    if group.name.startswith("default."):
        raise InvalidParameterValue(f"The parameter group {name} cannot be modified: it is the engine's default one.")
    return group


def _variable(name: str) -> variables.Variable:
    variable = variables.known().get(name)
    if variable is None:
        raise InvalidParameterValue(f"Could not find parameter with name: {name}")
    return variable


def _checked(row: Mapping[str, Any]) -> dict[str, Any]:
    variable = _variable(str(row.get("ParameterName")))
    if not variable.is_modifiable:
        raise InvalidParameterValue(f"The parameter {variable.name} cannot be modified.")
    if "ParameterValue" not in row:
        raise InvalidParameterValue(f"The parameter {variable.name} has no value.")
    if row.get("ApplyMethod") == IMMEDIATE and variable.is_static:
        raise InvalidParameterCombination("cannot use immediate apply method for static parameter")
    return dict(row)


def _row(variable: variables.Variable, own: Mapping[str, Any] | None) -> dict[str, Any]:
    value = own["ParameterValue"] if own else variable.default
    return {
        "ParameterName": variable.name,
        "Source": "user" if own else "engine-default",
        "ApplyType": "static" if variable.is_static else "dynamic",
        "DataType": variable.data_type,
        "IsModifiable": variable.is_modifiable,
        "ApplyMethod": cast("str", own.get("ApplyMethod")) if own else PENDING_REBOOT,
        **({} if value is None else {"ParameterValue": value}),
    }
