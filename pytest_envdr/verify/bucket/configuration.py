"""A bucket's own configuration: nothing of it travels with objects (aws-semantics 3.5)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

from pytest_envdr.aws import s3
from pytest_envdr.errors import AwsError
from pytest_envdr.verify.bucket.differences import Difference, Kind
from pytest_envdr.verify.bucket.sources import acl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_envdr.aws import Aws

UNREADABLE = "unreadable"
"""The key of an aspect that S3 refused to tell, with its code."""
REFUSALS = ("AccessDenied", "403", "NotImplemented", "501", "MethodNotAllowed", "XNotImplemented")
BLOCKS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
ORDERED = {"CORSRules", "RoutingRules"}
"""Lists whose order counts: the first rule that matches is used."""


def configuration(aws: Aws, bucket: str) -> dict[str, Any]:
    """All aspects of a bucket's configuration (`s3.ASPECTS`) as JSON values, in a form in which equal means equal.

    Neither the order of keys and sets nor what AWS fills in by default counts, nor whether something was never set or
    set to its default. The bucket's own name in its policy stands as "<bucket>", so that a copy of the policy for
    another bucket is equal. None: there is none. An aspect that may not be read is `{"unreadable": code}`.

    Raises:
        NotFound: there is no such bucket.
        AwsError: it belongs to another account.
    """
    s3.check_bucket(aws, bucket)
    return {aspect: _read(aws, bucket, aspect) for aspect in s3.ASPECTS}


def compare_configuration(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> list[Difference]:
    """The aspects that differ, each as one difference with `key` "" and the aspect as its kind.

    What is shown are the entries that differ. An aspect that only one side has is not compared (a manifest of an
    earlier version); one that either side could not read is `unreadable`, never equal.
    """
    found = []
    for aspect in sorted(expected.keys() & actual.keys()):
        before, after = expected[aspect], actual[aspect]
        refused = [_refusal(one) for one in (before, after)]
        if any(refused):
            found.append(Difference("", "unreadable", aspect, *(one or "readable" for one in refused)))
        elif before != after:
            found.append(Difference("", cast("Kind", aspect), "", *_shown(before, after)))
    return found


def _refusal(value: Any) -> str:
    return str(value.get(UNREADABLE, "")) if isinstance(value, dict) else ""


def _read(aws: Aws, bucket: str, aspect: str) -> Any:
    try:
        raw = s3.configuration(aws, bucket, aspect)
    except AwsError as error:
        if error.code not in REFUSALS:
            raise
        return {UNREADABLE: error.code}
    if aspect == "policy":
        return policy(raw, bucket)
    return sorted_sets(NORMAL.get(aspect, _as_it_is)(raw))


def _shown(before: Any, after: Any) -> tuple[str, str]:
    """Both as JSON; of two objects, the entries that differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        before, after = ({name: one[name] for name in sorted(names & one.keys())} for one in (before, after))
    return _json(before), _json(after)


def _json(value: Any) -> str:
    return "" if value in (None, {}, []) else json.dumps(value, sort_keys=True, ensure_ascii=False)


def sorted_sets(value: Any, name: str = "") -> Any:
    """Lists that are sets in the API, in one order; and nothing that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: sorted_sets(one, key) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        rows = [sorted_sets(one) for one in value]
        return rows if name in ORDERED else sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def policy(raw: str | None, bucket: str) -> Any:
    """A policy as JSON: one value and a list of it are the same, and so are an account's id and its root's ARN."""
    if not raw:
        return None
    own = re.compile(rf"(arn:aws[a-z-]*:s3:::){re.escape(bucket)}(?=$|/)")
    document = json.loads(raw, object_hook=_statement)
    document["Statement"] = _listed(document.get("Statement", []))
    return sorted_sets(_replaced(document, own))


def _statement(row: dict[str, Any]) -> dict[str, Any]:
    """What may stand alone or in a list, in a list; `"*"` and `{"AWS": "*"}` are the same principal in S3."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        if name in ("Principal", "NotPrincipal"):
            by_kind = {"AWS": value} if isinstance(value, str) else value
            found[name] = {kind: [_principal(one) for one in _listed(ids)] for kind, ids in by_kind.items()}
        elif name in ("Action", "NotAction", "Resource", "NotResource"):
            found[name] = _listed(value)
        else:
            found[name] = _listed(value) if ":" in name else value  # a condition's key: "aws:SecureTransport"
    return found


def _principal(one: str) -> str:
    return f"arn:aws:iam::{one}:root" if re.fullmatch(r"\d{12}", one) else one


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def _replaced(value: Any, own: re.Pattern[str]) -> Any:
    if isinstance(value, dict):
        return {name: _replaced(one, own) for name, one in value.items()}
    if isinstance(value, list):
        return [_replaced(one, own) for one in value]
    return own.sub(r"\1<bucket>", value) if isinstance(value, str) else value


def _as_it_is(raw: Any) -> Any:
    return raw or None


def _versioning(raw: Any) -> Any:
    return {"Status": raw.get("Status", "Disabled"), "MFADelete": raw.get("MFADelete", "Disabled")}


def _encryption(raw: Any) -> Any:
    """SSE-S3 is what S3 does since January 2023 where nothing is configured."""
    rules = (raw or {}).get("Rules") or [{}]
    rule = rules[0]
    default = rule.get("ApplyServerSideEncryptionByDefault") or {"SSEAlgorithm": "AES256"}
    rest = {name: value for name, value in rule.items() if name != "ApplyServerSideEncryptionByDefault" and value}
    return {**default, **rest}


def _public_access_block(raw: Any) -> Any:
    return {name: bool((raw or {}).get(name)) for name in BLOCKS}


def _ownership(raw: Any) -> Any:
    """ObjectWriter is what holds where nothing is configured."""
    rules = (raw or {}).get("Rules") or [{"ObjectOwnership": "ObjectWriter"}]
    return rules[0]["ObjectOwnership"]


def _acl(raw: Any) -> Any:
    return acl(s3.granted(raw))


def _tags(raw: Any) -> Any:
    return {row["Key"]: row["Value"] for row in raw or []}


def _lifecycle(raw: Any) -> Any:
    """Rules in any order, each with its filter in one form: an empty one is as good as none."""
    if not raw or not raw.get("Rules"):
        return None
    rest = {name: value for name, value in raw.items() if name != "Rules"}
    rest.setdefault("TransitionDefaultMinimumObjectSize", "all_storage_classes_128K")
    return {**rest, "Rules": [_rule(rule) for rule in raw["Rules"]]}


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in rule.items() if name not in ("Prefix", "Filter")}
    chosen = {**({"Prefix": rule["Prefix"]} if rule.get("Prefix") else {}), **(rule.get("Filter") or {})}
    return {**rest, "Filter": {name: value for name, value in chosen.items() if value != ""}}


def _notification(raw: Any) -> Any:
    """The names of filter rules in one case; EventBridge's empty table says that it is on."""
    found = {name: value for name, value in (raw or {}).items() if value or name == "EventBridgeConfiguration"}
    for rows in found.values():
        for row in rows if isinstance(rows, list) else []:
            for rule in row.get("Filter", {}).get("Key", {}).get("FilterRules", []):
                rule["Name"] = rule["Name"].lower()
    return found or None


def _cors(raw: Any) -> Any:
    return {"CORSRules": raw} if raw else None


NORMAL: dict[str, Callable[[Any], Any]] = {
    "versioning": _versioning,
    "encryption": _encryption,
    "public-access-block": _public_access_block,
    "ownership": _ownership,
    "acl": _acl,
    "tags": _tags,
    "lifecycle": _lifecycle,
    "notification": _notification,
    "cors": _cors,
    "acceleration": lambda raw: raw or "Suspended",
    "requester-pays": lambda raw: raw or "BucketOwner",
}
