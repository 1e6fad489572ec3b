"""Objects that come in parts."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.s3 import notifications
from moto.s3.exceptions import EntityTooSmall, InvalidPart, MalformedXML
from typing_extensions import override

from pytest_envdr.sandbox.control_plane.extension import backend_lock
from pytest_envdr.sandbox.control_plane.s3 import checksums
from pytest_envdr.sandbox.control_plane.s3.backend import EVENTS
from pytest_envdr.sandbox.control_plane.s3.refusals import Refused, missing
from pytest_envdr.sandbox.control_plane.s3.writing import Writing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moto.s3.models import FakeKey, FakeMultipart

SMALLEST_PART = 5 * 1024**2
"""What each part but the last must have."""


class Uploads(Writing):
    """How parts become an object."""

    def _upload(self) -> FakeMultipart:
        """The upload in parts that the request names.

        Raises:
            Refused: NoSuchUpload.
        """
        upload = self.backend.get_bucket(self.bucket_name).multiparts.get(str(self._get_param("uploadId")))
        if upload is None or upload.key_name != self.parse_key_name():
            raise missing("NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid.")
        return upload

    @override
    def upload_part_copy(self) -> Any:
        """UploadPartCopy: a range of an object as a part."""
        source = self._source()
        first, end = 0, source.size
        if "x-amz-copy-source-range" in self.headers:
            low, _, high = self.headers["x-amz-copy-source-range"].removeprefix("bytes=").partition("-")
            first, end = int(low), int(high) + 1
            if int(high) >= source.size:
                raise Refused(
                    "InvalidArgument", f"Range specified is not valid for source object of size: {source.size}"
                )
        part = self._upload().set_part(self._get_int_param("partNumber"), source.value[first:end])
        self.data["Action"] = "UploadPartCopy"
        result = {"CopyPartResult": {"LastModified": part.last_modified_ISO8601, "ETag": part.etag}}
        status, headers, body = self.serialized(ActionResult(result))
        if source._is_versioned:
            headers["x-amz-copy-source-version-id"] = source.version_id
        return status, headers, body

    def complete_upload(self) -> Any:
        """CompleteMultipartUpload: the parts become an object, whose checksum is one of the parts' or of the whole."""
        upload = self._upload()
        named = list(self._complete_multipart_body(self.body))
        bodies = _bodies(upload, named)
        algorithm = upload.metadata.get("x-amz-checksum-algorithm") or checksums.DEFAULT
        kind = self.headers.get("x-amz-checksum-type") or upload.metadata.get("x-amz-checksum-type") or _type(algorithm)
        whole = b"".join(bodies)
        value = (checksums.composite if kind == checksums.COMPOSITE else _full)(algorithm, bodies)
        told = checksums.given(self.headers)
        if told and told != (algorithm, value):
            raise Refused("BadDigest", f"The {algorithm} you specified did not match the calculated checksum.")
        bucket = self.backend.get_bucket(self.bucket_name)
        key = self.backend.put_object(
            self.bucket_name,
            upload.key_name,
            whole,
            storage=upload.storage,
            etag=_etag(bodies),
            encryption=upload.sse_encryption,
            kms_key_id=upload.kms_key_id,
            disable_notification=True,
        )
        key.set_metadata(dict(upload.metadata))
        key.checksum_algorithm, key.checksum_value, key.checksum_type = algorithm, value, kind
        key.part_sizes = [len(body) for body in bodies]  # type: ignore[attr-defined] # ours
        if upload.tags:
            self.backend.put_object_tagging(key, upload.tags)
        key.set_acl(upload.acl)
        with backend_lock:
            del bucket.multiparts[upload.id]
        notifications.send_event(bucket.account_id, EVENTS["COMPLETE"], bucket, key)
        return self._completed(key)

    def _completed(self, key: FakeKey) -> Any:
        algorithm, value, kind = checksums.of(key)
        result = {
            "Location": f"http://{self.bucket_name}.s3.amazonaws.com/{key.name}",
            "Bucket": self.bucket_name,
            "Key": key.name,
            "ETag": key.etag,
            f"Checksum{algorithm}": value,
            "ChecksumType": kind,
        }
        self.data["Action"] = "CompleteMultipartUpload"
        status, headers, body = self.serialized(ActionResult(result))
        return status, headers | {n: t for n, t in key.response_dict.items() if n.startswith("x-amz-")}, body


def _bodies(upload: FakeMultipart, named: Sequence[tuple[int, str]]) -> list[bytes]:
    """The bytes of the parts that the completion names."""
    if not named:
        raise MalformedXML
    parts = [upload.parts.get(number) for number, _ in named]
    bodies = []
    for part, (_, etag) in zip(parts, named, strict=True):
        if part is None or part.etag.strip('"') != etag.strip('"'):
            raise InvalidPart
        bodies.append(part.value)
    if any(len(body) < SMALLEST_PART for body in bodies[:-1]):
        raise EntityTooSmall
    return bodies


def _etag(bodies: Sequence[bytes]) -> str:
    sums = b"".join(hashlib.md5(body, usedforsecurity=False).digest() for body in bodies)
    return f"{hashlib.md5(sums, usedforsecurity=False).hexdigest()}-{len(bodies)}"


def _type(algorithm: str) -> str:
    return checksums.FULL if algorithm == checksums.DEFAULT else checksums.COMPOSITE


def _full(algorithm: str, bodies: Sequence[bytes]) -> str:
    return checksums.compute(algorithm, b"".join(bodies))
