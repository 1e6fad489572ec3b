"""How one bucket is configured like another: what S3 answers of each aspect, as calls that put the same elsewhere."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Puts = list[tuple[str, dict[str, Any]]]


def _versioning(raw: Any, *_: str) -> Puts:
    return [("PutBucketVersioning", {"VersioningConfiguration": {"Status": raw["Status"]}})]


def _ownership(raw: Any, *_: str) -> Puts:
    """Without one ACLs count; a bucket made today has one that disables them."""
    return (
        [("PutBucketOwnershipControls", {"OwnershipControls": raw})] if raw else [("DeleteBucketOwnershipControls", {})]
    )


def _public_access_block(raw: Any, *_: str) -> Puts:
    name = "PublicAccessBlockConfiguration"
    return [("PutPublicAccessBlock", {name: raw})] if raw else [("DeletePublicAccessBlock", {})]


def _policy(raw: Any, bucket: str, to: str) -> Puts:
    """Rewritten for the new name; a policy for the old one S3 would refuse."""
    if not raw:
        return []
    own = re.compile(rf"(arn:aws[a-z-]*:s3:::){re.escape(bucket)}(?=$|/)")
    return [("PutBucketPolicy", {"Policy": json.dumps(_renamed(json.loads(raw), own, to))})]


def _renamed(value: Any, own: re.Pattern[str], to: str) -> Any:
    if isinstance(value, dict):
        return {name: _renamed(one, own, to) for name, one in value.items()}
    if isinstance(value, list):
        return [_renamed(one, own, to) for one in value]
    return own.sub(rf"\g<1>{to}", value) if isinstance(value, str) else value


def _put(operation: str, argument: str, *keys: str) -> Callable[..., Puts]:
    """A part that is given as it was read; `keys` are those of the answer that the request takes, "" for all of it."""

    def puts(raw: Any, *_: str) -> Puts:
        value = {key: raw[key] for key in keys if key in raw} if keys and isinstance(raw, dict) else raw
        return [(operation, {argument: value})] if value else []

    return puts


def _cors(raw: Any, *_: str) -> Puts:
    return [("PutBucketCors", {"CORSConfiguration": {"CORSRules": raw}})] if raw else []


def _lifecycle(raw: Any, *_: str) -> Puts:
    """The default of the minimum size is a parameter of the call, not a part of the configuration."""
    if not raw or not raw.get("Rules"):
        return []
    rest = {name: raw[name] for name in ("TransitionDefaultMinimumObjectSize",) if raw.get(name)}
    return [("PutBucketLifecycleConfiguration", {"LifecycleConfiguration": {"Rules": raw["Rules"]}, **rest})]


def _logging(raw: Any, *_: str) -> Puts:
    return [("PutBucketLogging", {"BucketLoggingStatus": {"LoggingEnabled": raw}})] if raw else []


def _tiering(raw: Any, *_: str) -> Puts:
    operation, argument = "PutBucketIntelligentTieringConfiguration", "IntelligentTieringConfiguration"
    return [(operation, {"Id": row["Id"], argument: row}) for row in raw or []]


def _acceleration(raw: Any, *_: str) -> Puts:
    return [("PutBucketAccelerateConfiguration", {"AccelerateConfiguration": {"Status": raw}})] if raw else []


def _payer(raw: Any, *_: str) -> Puts:
    """BucketOwner is what holds without a word."""
    wanted = raw and raw != "BucketOwner"
    return [("PutBucketRequestPayment", {"RequestPaymentConfiguration": {"Payer": raw}})] if wanted else []


PUTS: dict[str, Callable[..., Puts]] = {
    "versioning": _versioning,
    "ownership": _ownership,
    "public-access-block": _public_access_block,
    "encryption": _put("PutBucketEncryption", "ServerSideEncryptionConfiguration"),
    "policy": _policy,
    "cors": _cors,
    "website": _put("PutBucketWebsite", "WebsiteConfiguration"),
    "lifecycle": _lifecycle,
    "logging": _logging,
    "intelligent-tiering": _tiering,
    "acceleration": _acceleration,
    "requester-pays": _payer,
}
"""What puts each aspect: from what was read of the original, its name and the new one."""
