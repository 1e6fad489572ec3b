"""Reading an object: GetObject, HeadObject, GetObjectAttributes, GetObjectRetention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.core.utils import str_to_rfc_1123_datetime
from moto.s3.models import FakeDeleteMarker, FakeKey
from moto.s3.responses import ALLOWED_HEADER_OVERRIDES, S3Response
from typing_extensions import override

from pytest_envdr.sandbox.control_plane.s3 import archive, checksums
from pytest_envdr.sandbox.control_plane.s3.refusals import Refused, missing
from pytest_envdr.sandbox.control_plane.s3.replicator import status

if TYPE_CHECKING:
    from collections.abc import Mapping

SENT_ONLY = ("content-md5", "x-amz-content-sha256", "x-amz-checksum-algorithm", "x-amz-checksum-type")
"""What moto keeps among an object's headers although it belongs to the request that brought it."""
Answer = tuple[int, dict[str, Any], Any]


class Reading(S3Response):
    """How objects are read."""

    @override
    def _get_key(self, validate_storage_class: bool = True) -> tuple[FakeKey, bool]:
        """The object or version that is asked for, and whether the client has it already."""
        name, version = self.parse_key_name(), self.querystring.get("versionId", [None])[0]
        key = self._version(self.bucket_name, name, version)
        if validate_storage_class and self.operation == "GetObject":
            archive.require(key)
        return key, not_modified(key, self.headers)

    operation: str = ""

    def _version(self, bucket_name: str, name: str, version: str | None) -> FakeKey:
        """An object, or one version of it.

        Raises:
            Refused: NoSuchKey, NoSuchVersion; a delete marker is no object: NoSuchKey, or MethodNotAllowed where it is
                named by its version, with `x-amz-delete-marker`.
        """
        rows = self.backend.get_bucket(bucket_name).keys.getlist(name, [])
        if version is None:
            found = rows[-1] if rows else None
        else:
            found = next((row for row in rows if row.version_id == version), None)
        if isinstance(found, FakeKey):
            return found
        if isinstance(found, FakeDeleteMarker):
            headers = {"x-amz-delete-marker": "true", "x-amz-version-id": found.version_id}
            if version is not None:
                message = "The specified method is not allowed against this resource."
                raise Refused("MethodNotAllowed", message, status=405, headers=headers | {"allow": "DELETE"})
            raise Refused("NoSuchKey", "The specified key does not exist.", status=404, headers=headers)
        if version is None:
            raise missing("NoSuchKey", "The specified key does not exist.")
        raise missing("NoSuchVersion", "The specified version does not exist.")

    @override
    def get_object(self) -> Any:
        """GetObject and HeadObject, which is the same without the bytes."""
        key, unchanged = self._get_key()
        headers = self._get_cors_headers_other() | self._told(key)
        if unchanged:
            return 304, {name: text for name, text in headers.items() if not name.startswith("content-")}, ""
        number = self.querystring.get("partNumber", [None])[0]
        if number is not None:
            return self._part(key, int(number), headers)
        return 200, headers, b"" if self.request.method == "HEAD" else key.value

    def _part(self, key: FakeKey, number: int, headers: dict[str, Any]) -> Answer:
        sizes: list[int] = getattr(key, "part_sizes", None) or [key.size]
        if not 1 <= number <= len(sizes):
            raise Refused("InvalidPartNumber", "The requested partnumber is not satisfiable", status=416)
        first = sum(sizes[: number - 1])
        headers["content-range"] = f"bytes {first}-{first + sizes[number - 1] - 1}/{key.size}"
        headers["content-length"] = str(sizes[number - 1])
        if len(sizes) > 1 or getattr(key, "part_sizes", None):
            headers["x-amz-mp-parts-count"] = str(len(sizes))
        body = b"" if self.request.method == "HEAD" else key.value[first : first + sizes[number - 1]]
        return 206, headers, body

    def _told(self, key: FakeKey) -> dict[str, Any]:
        headers = {name: text for name, text in key.metadata.items() if name.lower() not in SENT_ONLY}
        headers |= key.response_dict | {"accept-ranges": "bytes"}
        headers.pop("x-amz-sdk-checksum-algorithm", None)
        if (word := status(key)) is not None:
            headers["x-amz-replication-status"] = word
        if self.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
            headers |= checksum_headers(key)
        for parameter, name in ALLOWED_HEADER_OVERRIDES.items():
            if parameter in self.querystring:
                headers = {had: text for had, text in headers.items() if had.lower() != name.lower()}
                headers[name] = self.querystring[parameter][0]
        return headers

    @override
    def get_object_attributes(self) -> Any:
        """GetObjectAttributes: only those that are asked for."""
        key, unchanged = self._get_key(validate_storage_class=False)
        if unchanged:
            return 304, {}, ""
        wanted = {word.strip() for word in self.headers.get("x-amz-object-attributes", "").split(",")}
        algorithm, value, kind = checksums.of(key)
        known = {
            "ETag": key.etag.strip('"'),
            "Checksum": {f"Checksum{algorithm}": value.partition("-")[0], "ChecksumType": kind},
            "ObjectParts": _parts(key),
            "ObjectSize": key.size,
            "StorageClass": key.storage_class,
        }
        result = {name: fact for name, fact in known.items() if name in wanted and fact is not None}
        self.data["Action"] = "GetObjectAttributes"
        status, headers, body = self.serialized(ActionResult({"LastModified": key.last_modified} | result))
        if key._is_versioned:
            headers["x-amz-version-id"] = key.version_id
        return status, headers, body

    def get_object_retention(self) -> Any:
        """GetObjectRetention, which moto lacks."""
        if not self.backend.get_bucket(self.bucket_name).object_lock_enabled:
            raise Refused("InvalidRequest", "Bucket is missing Object Lock Configuration")
        key, _ = self._get_key(validate_storage_class=False)
        if not key.lock_mode:
            message = "The specified object does not have a ObjectLock configuration"
            raise missing("NoSuchObjectLockConfiguration", message)
        self.data["Action"] = "GetObjectRetention"
        return self.serialized(ActionResult({"Retention": {"Mode": key.lock_mode, "RetainUntilDate": key.lock_until}}))


def checksum_headers(key: FakeKey) -> dict[str, str]:
    """An object's checksum as headers."""
    algorithm, value, kind = checksums.of(key)
    return {f"{checksums.HEADER}{algorithm.lower()}": value, f"{checksums.HEADER}type": kind}


def not_modified(key: FakeKey, headers: Mapping[str, str], *, prefix: str = "") -> bool:
    """Whether a conditional request finds what its client has already.

    Args:
        key: the object.
        headers: the request's; `prefix` is what their names begin with (`x-amz-copy-source-`).
        prefix: see there.

    Raises:
        Refused: PreconditionFailed.
    """
    conditions = {word: headers.get(f"{prefix}if-{word}") for word in ("match", "none-match")}
    since = {word: headers.get(f"{prefix}if-{word}-since") for word in ("modified", "unmodified")}
    changed = key.last_modified.replace(microsecond=0)
    etag = key.etag.strip('"')
    if conditions["match"] and conditions["match"].strip('"') not in {etag, "*"}:
        raise _failed("If-Match")
    late = since["unmodified"] and changed > str_to_rfc_1123_datetime(since["unmodified"])
    if late and not conditions["match"]:
        raise _failed("If-Unmodified-Since")
    if conditions["none-match"]:
        return conditions["none-match"].strip('"') in {etag, "*"}
    return bool(since["modified"] and changed <= str_to_rfc_1123_datetime(since["modified"]))


def _failed(condition: str) -> Refused:
    message = f"At least one of the pre-conditions you specified did not hold: {condition}"
    return Refused("PreconditionFailed", message, status=412)


def _parts(key: FakeKey) -> dict[str, Any] | None:
    sizes: list[int] = getattr(key, "part_sizes", [])
    if not sizes:
        return None
    if key.checksum_type != checksums.COMPOSITE:
        return {"TotalPartsCount": len(sizes)}
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    bodies = [key.value[end - size : end] for end, size in zip(ends, sizes, strict=True)]
    algorithm = str(key.checksum_algorithm)
    rows = [
        {"PartNumber": number, "Size": len(body), f"Checksum{algorithm}": checksums.compute(algorithm, body)}
        for number, body in enumerate(bodies, start=1)
    ]
    return {"TotalPartsCount": len(sizes), "MaxParts": 1000, "IsTruncated": False, "Parts": rows}
