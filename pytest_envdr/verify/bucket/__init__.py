"""Buckets compared: objects with all that is stored with them, and the configuration of the bucket itself.

    from pytest_envdr.verify import bucket

    original = bucket.Bucket(aws, "tenant-a", at=before_the_loss)
    found = list(bucket.compare(original, bucket.Bucket(aws, "staging"), depth="attributes", executor=pool))
    found += bucket.compare_configuration(bucket.configuration(aws, "tenant-a"), bucket.configuration(aws, "staging"))

A source is a bucket as it is, a bucket as it was at an instant (its versions tell), or a manifest saved before. Both
are listed page by page and merged in key order; what is held at a time does not grow with the bucket. Three depths:

listing     keys, sizes, storage classes and ETags: one request for 1,000 objects and side. Content is looked into only
            where ETags do not settle it (uploaded in parts, or different). Blind to metadata, headers, tags,
            encryption, ACLs and locks, and to bytes that went bad below an ETag.
attributes  and HeadObject for each object and side, its tags where it has any, its ACL where the bucket uses ACLs: all
            that a copy can lose. Content is judged by checksums and MD5 ETags, by bytes where neither can tell. Blind
            to bytes that went bad below their checksum.
bytes       and the SHA-256 of every object's bytes, streamed from both sides. The client checks them against the
            object's own checksum as well.

Nothing counts as equal because it could not be looked at: such an object is a difference of kind `unreadable` (403,
archived, the customer's own key) or `unverified` (a manifest without checksums).
"""

from __future__ import annotations

from pytest_envdr.verify.bucket.comparing import Comparison, compare
from pytest_envdr.verify.bucket.configuration import compare_configuration, configuration
from pytest_envdr.verify.bucket.differences import Difference, Kind
from pytest_envdr.verify.bucket.manifest import Manifest, save
from pytest_envdr.verify.bucket.sources import Bucket, Depth, Entry, Source

__all__ = [
    "Bucket",
    "Comparison",
    "Depth",
    "Difference",
    "Entry",
    "Kind",
    "Manifest",
    "Source",
    "compare",
    "compare_configuration",
    "configuration",
    "save",
]
