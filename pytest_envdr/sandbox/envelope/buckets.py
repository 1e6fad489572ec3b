"""The tenants' buckets: how each is configured, and what it holds from the start.

Every row of a tenant's `documents` has an object with the same bytes. The stack's first tenants, and its last, which is
the one that drills may damage, have exports and avatars besides: the keys, headers, versions and delete markers that a
recovery gets wrong.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.control_plane.s3 import filling
from pytest_envdr.sandbox.control_plane.s3.filling import Item
from pytest_envdr.sandbox.envelope.database import Tenant, tenants
from pytest_envdr.sandbox.envelope.names import ACCOUNT, PREFIX, TENANT_BUCKET_PREFIX

if TYPE_CHECKING:
    from pytest_envdr.sandbox.envelope.account import Account

DOCUMENTS = 20
"""Rows of `documents` that the schema's seed makes for each tenant."""
FULL = 20
"""How many tenants have more than their documents; the last one always has."""
SEED = 1
CSV = {"Content-Type": "text/csv; charset=utf-8"}


def tenant_bucket(slug: str) -> str:
    """The name of a tenant's bucket."""
    return f"{TENANT_BUCKET_PREFIX}{slug}"


def tenant_bucket_configuration(slug: str, *, bucket: str = "") -> dict[str, dict[str, Any]]:
    """How a tenant's bucket is configured: boto3's method -> its arguments besides `Bucket`, in the order to call them.

    Whoever makes a tenant's bucket calls these; notifications are the last, so that nobody hears of the making.
    `bucket` is the bucket's name where it is another one than the tenant's by rule.
    """
    return {
        "put_public_access_block": {
            "PublicAccessBlockConfiguration": dict.fromkeys(
                ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
            )
        },
        "put_bucket_ownership_controls": {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}},
        "put_bucket_versioning": {"VersioningConfiguration": {"Status": "Enabled"}},
        "put_bucket_encryption": {
            "ServerSideEncryptionConfiguration": {
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": True}]
            }
        },
        "put_bucket_policy": {"Policy": json.dumps(_policy(bucket or tenant_bucket(slug)))},
        "put_bucket_cors": {"CORSConfiguration": {"CORSRules": _cors()}},
        "put_bucket_tagging": {"Tagging": {"TagSet": [{"Key": key, "Value": tag} for key, tag in _tags(slug).items()]}},
        "put_bucket_lifecycle_configuration": {"LifecycleConfiguration": {"Rules": _lifecycle()}},
        "put_bucket_notification_configuration": {"NotificationConfiguration": {"EventBridgeConfiguration": {}}},
    }


def create(account: Account, count: int) -> None:
    """All tenants' buckets with their objects: the first one made through the API, the others after its model."""
    everyone = tenants(count)
    s3 = account.client("s3")
    s3.create_bucket(Bucket=everyone[0].bucket, CreateBucketConfiguration={"LocationConstraint": account.world.region})
    for method, arguments in tenant_bucket_configuration(everyone[0].slug).items():
        getattr(s3, method)(Bucket=everyone[0].bucket, **arguments)
    for tenant in everyone:
        if tenant is not everyone[0]:
            policy = json.dumps(_policy(tenant.bucket))
            filling.make_like(account.world, everyone[0].bucket, tenant.bucket, policy=policy, tags=_tags(tenant.slug))
        full = tenant.number <= FULL or tenant is everyone[-1]
        _fill(account, tenant, full=full)


def _fill(account: Account, tenant: Tenant, *, full: bool) -> None:
    filling.put(account.world, tenant.bucket, documents(tenant.slug))
    if full:
        filling.put(account.world, tenant.bucket, [*_exports(tenant.slug), *_avatars(tenant.slug)])
        filling.delete(account.world, tenant.bucket, ["avatars/left-the-company.png"])


def documents(slug: str) -> list[Item]:
    """The objects of a tenant's `documents`, computed as the schema's seed computes them."""
    return [_document(slug, number) for number in range(1, DOCUMENTS + 1)]


def _document(slug: str, number: int) -> Item:
    noise = hashlib.sha512(f"{SEED}{slug}scan{number}".encode()).digest() * (1 + number % 24)
    body = b"%PDF-1.4\n\x00\xff\xfe\n\r" + noise
    name = f"scan-{number}{'' if number % 2 else '-ünïcode'}.pdf"
    return Item(
        key=f"documents/{number}/{name}",
        body=body,
        headers={"Content-Type": "application/pdf"},
        metadata={"sha256": hashlib.sha256(body).hexdigest(), "document": str(number)},
        tags={"class": "document"},
    )


def _exports(slug: str) -> list[Item]:
    table = [
        f"id;{slug};total\n" + "".join(f"{row};Zoë;{row * edition},00\n" for row in range(50)) for edition in (1, 2)
    ]
    packed = CSV | {"Content-Encoding": "gzip", "Content-Disposition": 'attachment; filename="orders.csv"'}
    daily = {"Cache-Control": "private, no-store"}
    return [
        # A key named twice: the first is the older version.
        *(
            Item("exports/orders.csv.gz", gzip.compress(text.encode(), mtime=0), packed, {"edition": str(edition)})
            for edition, text in enumerate(table, start=1)
        ),
        Item("exports/2023/orders.csv", table[0].encode(), CSV | daily, storage_class="STANDARD_IA"),
        Item(
            "exports/année 2024/100% + tax (Steuer) 封筒.csv", table[1].encode(), CSV | daily, tags={"class": "export"}
        ),
        Item("exports/.done", b"", {"Content-Type": "application/octet-stream"}, {"rows": "0"}),
    ]


def _avatars(slug: str) -> list[Item]:
    headers = {"Content-Type": "image/png", "Cache-Control": "public, max-age=31536000, immutable"}
    names = ["1.png", "2.png", "3.png", "2.png", "2.png", "left-the-company.png"]
    pictures = [b"\x89PNG\r\n\x1a\n" + hashlib.sha256(f"{slug} {turn}".encode()).digest() * 8 for turn in range(6)]
    tags = {"class": "avatar", "public": "yes"}
    return [
        Item(f"avatars/{name}", picture, headers, {"uploaded-by": f"zoe1@{slug}.example"}, tags)
        for name, picture in zip(names, pictures, strict=True)
    ]


def _policy(bucket: str) -> dict[str, Any]:
    """No plain HTTP, but on the machine itself; and the backup role may read."""
    resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "OnlyEncryptedTransport",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": resources,
                "Condition": {
                    "Bool": {"aws:SecureTransport": "false"},
                    "NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"},
                },
            },
            {
                "Sid": "BackupsMayRead",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/{PREFIX}-backup"},
                "Action": ["s3:GetObject*", "s3:ListBucketVersions", "s3:GetBucket*"],
                "Resource": resources,
            },
        ],
    }


def _cors() -> list[dict[str, Any]]:
    return [
        {
            "ID": "browser-uploads",
            "AllowedOrigins": ["https://*.tenant.envelope.test"],
            "AllowedMethods": ["GET", "PUT"],
            "AllowedHeaders": ["*"],
            "ExposeHeaders": ["ETag"],
            "MaxAgeSeconds": 3000,
        }
    ]


def _tags(slug: str) -> dict[str, str]:
    return {"tenant": slug, "environment": "prod", "data-class": "customer"}


def _lifecycle() -> list[dict[str, Any]]:
    return [
        {
            "ID": "old-versions",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 90},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
        {"ID": "old-exports", "Status": "Enabled", "Filter": {"Prefix": "exports/"}, "Expiration": {"Days": 365}},
    ]
