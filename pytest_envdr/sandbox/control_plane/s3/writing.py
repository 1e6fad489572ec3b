"""Writing objects: checksums that are verified, copies, deletions of many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

from moto.core.responses import ActionResult
from moto.s3 import notifications
from moto.s3.exceptions import AccessDeniedByLock, MalformedXML
from moto.s3.notifications import S3NotificationEvent
from moto.s3.utils import metadata_from_headers
from typing_extensions import override

from pytest_envdr.sandbox.control_plane.s3 import archive, checksums, guards
from pytest_envdr.sandbox.control_plane.s3.backend import EVENTS, default_encryption
from pytest_envdr.sandbox.control_plane.s3.bodies import parsed, text
from pytest_envdr.sandbox.control_plane.s3.reading import Reading, checksum_headers, not_modified
from pytest_envdr.sandbox.control_plane.s3.refusals import Refused, denied

if TYPE_CHECKING:
    from moto.s3.models import FakeKey

COPY_LIMIT = 5 * 1024**3
"""The largest object that CopyObject copies."""
MOST_KEYS = 1000
"""How many keys one DeleteObjects may name."""
NO_BODY_SUM = {"CompleteMultipartUpload"}
"""Operations whose checksum header is of the object, not of the request's body."""


class Writing(Reading):
    """How objects are written."""

    account: str = ""

    def _verify_body(self) -> None:
        """Refuse a body that is not what its checksum says."""
        given = None
        if self.operation not in NO_BODY_SUM:
            given = checksums.verified(self.headers, self.raw_body, self.body or b"")
        self._given = given

    _given: tuple[str, str] | None = None

    @override
    def _get_checksum(self, response_headers: dict[str, Any]) -> tuple[str, str | None]:
        """The checksum that came with the request and was found right."""
        if self._given is None:
            return "", None
        response_headers[f"{checksums.HEADER}{self._given[0].lower()}"] = self._given[1]
        return self._given

    @override
    def put_object(self) -> Any:
        """PutObject: as moto's; S3 says which checksum it keeps."""
        status, headers, body = super().put_object()
        key: Any = self.backend.get_object(self.bucket_name, self.parse_key_name(), headers.get("x-amz-version-id"))
        if key is not None:
            headers.update(checksum_headers(key))
        return status, headers, body

    def _source(self) -> FakeKey:
        """What `x-amz-copy-source` names.

        Raises:
            Refused: NoSuchKey, AccessDenied, InvalidObjectState, PreconditionFailed.
        """
        path, _, query = str(self.headers["x-amz-copy-source"]).partition("?")
        bucket_name, _, name = unquote(path).lstrip("/").partition("/")
        version = parse_qs(query).get("versionId", [None])[0]
        asked = guards.Request("GetObject", self.account, name, version, dict(self.headers))
        bucket = self.backend.get_bucket(bucket_name)
        if self.headers.get("x-amz-source-expected-bucket-owner", bucket.account_id) != bucket.account_id:
            raise denied()
        guards.check_policy(bucket, asked)
        key = self._version(bucket_name, name, version)
        archive.require(key)
        if not_modified(key, self.headers, prefix="x-amz-copy-source-"):
            raise Refused("PreconditionFailed", "At least one of the pre-conditions did not hold", status=412)
        return key

    @override
    def copy_object(self) -> Any:
        """CopyObject: one part, whatever the source was; class, ACL and lock are not the source's."""
        source, name = self._source(), self.parse_key_name()
        if source.size > COPY_LIMIT:
            message = (
                f"The specified copy source is larger than the maximum allowable size for a copy source: {COPY_LIMIT}"
            )
            raise Refused("InvalidRequest", message)
        self._require_change(source, name)
        bucket = self.backend.get_bucket(self.bucket_name)
        legal, mode, until = self._get_lock_details(bucket, bucket.object_lock_enabled)
        key = self.backend.put_object(
            self.bucket_name,
            name,
            source.value,
            storage=self.headers.get("x-amz-storage-class"),
            encryption=self.headers.get("x-amz-server-side-encryption"),
            kms_key_id=self.headers.get("x-amz-server-side-encryption-aws-kms-key-id"),
            bucket_key_enabled=self.headers.get("x-amz-server-side-encryption-bucket-key-enabled"),
            lock_mode=mode,
            lock_legal_status=legal,
            lock_until=until,
            disable_notification=True,
        )
        self._dress(key, source)
        notifications.send_event(bucket.account_id, EVENTS["COPY"], bucket, key)
        return self._copied(key, source)

    def _dress(self, key: FakeKey, source: FakeKey) -> None:
        """Metadata, tags and checksum of a copy."""
        own = self.headers.get("x-amz-metadata-directive") == "REPLACE"
        key.set_metadata(metadata_from_headers(self.headers) if own else dict(source.metadata))
        if self.headers.get("x-amz-tagging-directive") == "REPLACE":
            self.backend.put_object_tagging(key, self._tagging_from_headers(self.headers))
        else:
            self.backend.tagger.copy_tags(source.arn, key.arn)
        algorithm = self.headers.get("x-amz-checksum-algorithm") or checksums.of(source)[0]
        key.checksum_algorithm, key.checksum_type = algorithm, checksums.FULL
        key.checksum_value = checksums.compute(algorithm, key.value)
        key.set_acl(self._acl_from_headers(self.headers) or self.backend.get_bucket(self.bucket_name).acl)
        key.website_redirect_location = self.headers.get("x-amz-website-redirect-location")

    def _copied(self, key: FakeKey, source: FakeKey) -> Any:
        algorithm, value, kind = checksums.of(key)
        result = {
            "ETag": key.etag,
            "LastModified": key.last_modified_ISO8601,
            f"Checksum{algorithm}": value,
            "ChecksumType": kind,
        }
        self.data["Action"] = "CopyObject"
        status, headers, body = self.serialized(ActionResult({"CopyObjectResult": result}))
        told = {name: text for name, text in key.response_dict.items() if name.startswith("x-amz-")}
        headers.update(told)
        if source._is_versioned:
            headers["x-amz-copy-source-version-id"] = source.version_id
        return status, headers, body

    def _require_change(self, source: FakeKey, name: str) -> None:
        """Refuse a copy onto itself that changes nothing."""
        bucket = self.backend.get_bucket(self.bucket_name)
        current = bucket.keys.get(name)
        changes = ("x-amz-storage-class", "x-amz-server-side-encryption", "x-amz-website-redirect-location")
        if (
            source is current
            and not any(header in self.headers for header in changes)
            and self.headers.get("x-amz-metadata-directive") != "REPLACE"
            and bucket.encryption == default_encryption()
        ):
            message = (
                "This copy request is illegal because it is trying to copy an object to itself without changing the "
                "object's metadata, storage class, website redirect location or encryption attributes."
            )
            raise Refused("InvalidRequest", message)

    @override
    def put_object_acl(self) -> Any:
        """PutObjectAcl: of a version too, and as XML, which moto takes no notice of."""
        key, _ = self._get_key(validate_storage_class=False)
        acl = self._acl_from_headers(self.headers) or (self._acl_from_body() if self.body else None)
        if acl is None:
            raise MalformedXML
        key.set_acl(acl)
        event = S3NotificationEvent.OBJECT_ACL_UPDATE_EVENT
        notifications.send_event(self.account, event, self.backend.get_bucket(self.bucket_name), key)
        return 200, {}, ""

    @override
    def _bucket_response_delete_keys(self, bucket_name: str, authenticated: bool = True) -> Any:
        """DeleteObjects: what could not be deleted is told key by key, within a 200."""
        asked = parsed(self.body)
        rows = asked.findall("Object")
        if not 1 <= len(rows) <= MOST_KEYS:
            raise MalformedXML
        told = [self._delete_one(text(row, "Key") or "", text(row, "VersionId")) for row in rows]
        if (text(asked, "Quiet") or "").strip().lower() == "true":
            told = [row for row in told if row.startswith("<Error>")]
        namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
        body = f'<DeleteResult xmlns="{namespace}">{"".join(told)}</DeleteResult>'
        return 200, {"content-type": "application/xml"}, f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'

    def _delete_one(self, name: str, version: str | None) -> str:
        bucket = self.backend.get_bucket(self.bucket_name)
        bypass = self.headers.get("x-amz-bypass-governance-retention", "").lower() == "true"
        row = _element("Key", name) + (_element("VersionId", version) if version else "")
        try:
            guards.check_policy(bucket, guards.Request("DeleteObject", self.account, name, version, dict(self.headers)))
            _, said = self.backend.delete_object(self.bucket_name, name, version_id=version, bypass=bypass)
        except (Refused, AccessDeniedByLock) as error:
            return f"<Error>{row}{_element('Code', str(error.code))}{_element('Message', str(error.message))}</Error>"
        if said.get("delete-marker"):
            row += _element("DeleteMarker", "true") + _element("DeleteMarkerVersionId", said["version-id"])
        return f"<Deleted>{row}</Deleted>"


def _element(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>"
