"""Bucket policies, with their conditions: moto takes a conditional Deny for one that always denies.

Who asks the sandbox is always its account's root, over plain HTTP from a loopback address.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.control_plane.s3.refusals import Refused, denied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ALLOW, DENY = "Allow", "Deny"
ELEMENTS = ("Resource", "NotResource")


def context(account: str) -> dict[str, str]:
    """What a condition may ask about any request to the sandbox."""
    return {
        "aws:securetransport": "false",
        "aws:sourceip": "127.0.0.1",
        "aws:principalarn": f"arn:aws:iam::{account}:root",
        "aws:principalaccount": account,
    }


def verdict(policy: bytes | str | None, *, action: str, resource: str, asked: Mapping[str, str]) -> str | None:
    """What a policy says to a request: `Deny` if any statement does, else `Allow` if one does; None if none applies.

    Args:
        policy: the document, JSON; None where the bucket has none.
        action: `s3:GetObject`, ...
        resource: the ARN of the bucket or the object.
        asked: condition keys in small letters and their values in this request, see `context`; with
            `aws:principalservicename` where it is another service that asks.
    """
    statements = _listed(json.loads(policy)["Statement"]) if policy else []
    effects = {each["Effect"] for each in statements if _applies(each, action=action, resource=resource, asked=asked)}
    return DENY if DENY in effects else ALLOW if ALLOW in effects else None


def require_valid(document: bytes, bucket: str, *, public: bool) -> None:
    """What S3 refuses of a policy that is put.

    Args:
        document: the policy.
        bucket: whose it shall be; a policy that was another bucket's names that one.
        public: whether it may allow something to everybody.

    Raises:
        Refused: MalformedPolicy; AccessDenied: public, and the bucket is not to be.
    """
    try:
        statements = _listed(json.loads(document)["Statement"])
        resources = [
            each for statement in statements for element in ELEMENTS for each in _listed(statement.get(element, []))
        ]
        effects = {statement["Effect"] for statement in statements}
    except (ValueError, LookupError, TypeError, AttributeError):
        raise Refused("MalformedPolicy", "This policy contains invalid Json or lacks an element") from None
    arn = f"arn:aws:s3:::{bucket}"
    if any(each != arn and not each.startswith((f"{arn}/", f"{arn}*")) for each in resources):
        raise Refused("MalformedPolicy", "Policy has invalid resource")
    if not effects <= {ALLOW, DENY}:
        raise Refused("MalformedPolicy", "Invalid effect")
    if not public and any(map(_is_public, statements)):
        raise denied()


def _is_public(statement: Mapping[str, Any]) -> bool:
    named = statement.get("Principal")
    everybody = "*" in _listed(named.get("AWS", []) if isinstance(named, dict) else named)
    return everybody and statement["Effect"] == ALLOW and not statement.get("Condition")


def _applies(statement: Mapping[str, Any], *, action: str, resource: str, asked: Mapping[str, str]) -> bool:
    return (
        _named(statement, "Action", action.lower(), fold=str.lower)
        and _named(statement, "Resource", resource, fold=str)
        and _principal(statement, asked)
        and all(
            _holds(operator, key, _listed(values), asked)
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
    )


def _named(statement: Mapping[str, Any], element: str, value: str, *, fold: Callable[[str], str]) -> bool:
    """Whether `Action` (or `Resource`) names a value, or `NotAction` does not."""
    negated = f"Not{element}" in statement
    patterns = _listed(statement.get(f"Not{element}" if negated else element, "*"))
    return _matches(value, map(fold, patterns)) != negated


def _principal(statement: Mapping[str, Any], asked: Mapping[str, str]) -> bool:
    negated = "NotPrincipal" in statement
    named = statement.get("NotPrincipal" if negated else "Principal", "*")
    service = asked.get("aws:principalservicename")
    if isinstance(named, dict):
        named = named.get("AWS" if service is None else "Service", [])
    me = {asked["aws:principalarn"], asked["aws:principalaccount"]} if service is None else {service}
    return bool((me | {"*"}) & set(_listed(named))) != negated


def _holds(operator: str, key: str, wanted: list[str], asked: Mapping[str, str]) -> bool:
    """One line of a condition. A key that the request lacks fulfils what is negated, and `...IfExists`."""
    value = asked.get(key.lower())
    name = operator.removesuffix("IfExists")
    if name == "Null":
        return (value is None) == (wanted == ["true"])
    negated = "Not" in name
    if value is None:
        return negated or name != operator
    return _compared(name.replace("Not", ""), value, wanted) != negated


def _compared(name: str, value: str, wanted: list[str]) -> bool:
    if name == "IpAddress":
        return any(ip_address(value) in ip_network(each, strict=False) for each in wanted)
    if name in {"StringLike", "ArnLike", "ArnEquals"}:
        return _matches(value, wanted)
    if name in {"Bool", "StringEqualsIgnoreCase"}:
        return value.lower() in {each.lower() for each in wanted}
    if name == "StringEquals":
        return value in wanted
    # A condition that we cannot judge must not look as though it had been judged.
    raise NotImplementedError(f"S3 policy condition {name}")


def _matches(value: str, patterns: Iterable[str]) -> bool:
    # IAM knows `*` and `?`; a bracket is itself.
    return any(fnmatchcase(value, each.replace("[", "[[]")) for each in patterns)


def _listed(value: Any) -> list[Any]:
    rows = value if isinstance(value, list) else [value]
    return [str(row).lower() if isinstance(row, bool) else row for row in rows]
