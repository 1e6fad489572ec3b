"""Buckets filled within the sandbox's own process: through the API, twenty tenants' objects took seconds."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from moto.s3.models import s3_backends
from moto.utilities.utils import get_partition

from pytest_envdr.sandbox.control_plane.extension import backend_lock

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_plane.s3.backend import SandboxS3
    from pytest_envdr.sandbox.world import World

CONFIGURATION = (
    "versioning_status",
    "encryption",
    "public_access_block",
    "ownership_rule",
    "rules",
    "cors",
    "notification_configuration",
)
"""moto's attributes of a bucket that say how it is configured, but for policy and tags, which name the bucket."""


@dataclass(frozen=True)
class Item:
    """An object to be put.

    Attributes:
        key: its key.
        body: its bytes.
        headers: the system metadata: Content-Type, Content-Encoding, Content-Disposition, Cache-Control.
        metadata: the user's, without `x-amz-meta-`.
        tags: its tags.
        storage_class: S3's name of it.
    """

    key: str
    body: bytes
    headers: dict[str, str]
    metadata: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    storage_class: str = "STANDARD"


def put(world: World, bucket: str, items: list[Item]) -> None:
    """Put objects in this order: a key named again gets a newer version. Nobody is notified."""
    backend = _backend(world)
    with backend_lock:
        for item in items:
            key = backend.put_object(bucket, item.key, item.body, storage=item.storage_class, disable_notification=True)
            key.set_metadata(dict(item.headers) | {f"x-amz-meta-{name}": item.metadata[name] for name in item.metadata})
            backend.tagger.tag_resource(key.arn, [{"Key": name, "Value": item.tags[name]} for name in item.tags])


def delete(world: World, bucket: str, keys: list[str]) -> None:
    """Delete objects, as a client does who names no version: in a versioned bucket, delete markers."""
    backend = _backend(world)
    with backend_lock:
        for key in keys:
            backend.delete_object(bucket, key)


def make_like(world: World, model: str, bucket: str, *, policy: str, tags: dict[str, str]) -> None:
    """Make a bucket that is configured as the bucket `model` is, with a policy and tags of its own."""
    backend = _backend(world)
    with backend_lock:
        made = backend.create_bucket(bucket, world.region)
        for attribute in CONFIGURATION:
            setattr(made, attribute, copy.deepcopy(getattr(backend.get_bucket(model), attribute)))
        backend.put_bucket_policy(bucket, policy.encode())
        backend.put_bucket_tagging(bucket, tags)


def _backend(world: World) -> SandboxS3:
    return cast("SandboxS3", s3_backends[world.account][get_partition(world.region)])
