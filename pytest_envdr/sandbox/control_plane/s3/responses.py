"""How S3's requests are answered where moto's answer is not S3's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.s3.models import s3_backends
from typing_extensions import override

from pytest_envdr.sandbox.api import Unreachable, is_asked
from pytest_envdr.sandbox.control_plane.extension import moto_urls
from pytest_envdr.sandbox.control_plane.s3 import guards, lists, policy, replication
from pytest_envdr.sandbox.control_plane.s3.backend import ENFORCED, SandboxS3, ownership
from pytest_envdr.sandbox.control_plane.s3.operations import operation
from pytest_envdr.sandbox.control_plane.s3.refusals import Refused, missing
from pytest_envdr.sandbox.control_plane.s3.uploads import Uploads

if TYPE_CHECKING:
    from moto.s3.models import FakeBucket

    from pytest_envdr.sandbox.control_plane.s3.archive import Restores
    from pytest_envdr.sandbox.control_plane.s3.foundings import Foundings
    from pytest_envdr.sandbox.world import World

LISTS = {
    "ListObjects": lists.list_objects,
    "ListObjectsV2": lists.list_objects_v2,
    "ListObjectVersions": lists.list_object_versions,
}
OWN = {
    "ListBuckets": "_list_buckets",
    "CreateBucket": "_create_bucket",
    "PutBucketPolicy": "_put_policy",
    "PutBucketReplication": "_put_replication",
    "GetBucketReplication": "_replication",
    "GetBucketOwnershipControls": "_ownership_controls",
    "GetBucketNotificationConfiguration": "_notification_configuration",
    "HeadObject": "get_object",
    "GetObjectRetention": "get_object_retention",
    "CompleteMultipartUpload": "complete_upload",
    "RestoreObject": "_restore_object",
}
"""Operation -> the method that answers it, where it is neither moto's nor under moto's name."""
OWNER = "bcaf1ffd86f41161ca5fb16fd081034f"
UPLOADS = {"UploadPart", "UploadPartCopy", "CompleteMultipartUpload", "AbortMultipartUpload", "ListParts"}


class SandboxS3Response(Uploads):
    """moto's answers, and ours where S3's are other ones.

    Attributes:
        world: the sandbox's.
        restores: the restores under way.
        foundings: the buckets whose first content is still to be made.
    All are set when the sandbox is made.
    """

    world: World
    restores: Restores
    foundings: Foundings

    @override
    def _bucket_response(self, request: Any, full_url: str) -> Any:
        try:
            bucket = self._begin("bucket" if self.bucket_name else "service", key="")
            if bucket is not None and self.operation in LISTS:
                body = LISTS[self.operation](bucket, self._query)
                return 200, {"content-type": "application/xml"}, body
            own = OWN.get(self.operation)
            return getattr(self, own)() if own else super()._bucket_response(request, full_url)
        except Refused as refused:
            return refused.answer()

    @override
    def _key_response(self, request: Any, full_url: str) -> Any:
        try:
            self._begin("object", key=self.parse_key_name())
            own = OWN.get(self.operation)
            return getattr(self, own)() if own else super()._key_response(request, full_url)
        except Refused as refused:
            return refused.answer()

    def _begin(self, on: str, *, key: str) -> FakeBucket | None:
        """Tell the front what is asked for, and refuse what S3 refuses before all else."""
        headers = {name.lower(): text for name, text in self.request.headers.items()}
        self._query = dict(self.request.args)
        self.operation = operation(self.request.method, on=on, query=self._query, headers=headers)
        is_asked("s3", self.operation)
        self.account = self.current_account
        owner = s3_backends.bucket_accounts.get(self.bucket_name)
        bucket = s3_backends[owner[1]][owner[0]].get_bucket(self.bucket_name) if owner else None
        if bucket is None and on != "service" and self.operation != "CreateBucket":
            raise missing("NoSuchBucket", "The specified bucket does not exist")
        if bucket is not None:
            self._reach(bucket)
            asked = guards.Request(self.operation, self.account, key, self._query.get("versionId"), headers)
            guards.check(bucket, asked)
            if on == "object" or self.operation in LISTS or self.operation == "DeleteObjects":
                self.foundings.require(self.bucket_name)
        if self.operation in UPLOADS:
            self._upload()
        self._verify_body()
        return bucket

    def _reach(self, bucket: FakeBucket) -> None:
        """Refuse what is asked of a bucket in a Region that is cut off, in whatever Region's name."""
        home = self.world.regions.get(bucket.region_name)
        if home is not None and home.cut_off:
            raise Refused("ServiceUnavailable", str(Unreachable(home.region)), status=503)

    _query: dict[str, str] = {}  # noqa: RUF012 (set anew for each request)

    def _answered(self, result: dict[str, Any]) -> Any:
        """A result in the shape of the operation's output."""
        self.data["Action"] = self.operation
        return self.serialized(ActionResult(result))

    def _list_buckets(self) -> Any:
        """The account's buckets, with their Regions."""
        prefix, region = self._query.get("prefix", ""), self._query.get("bucket-region")
        token = self._query.get("continuation-token", "")
        rows = [
            {"Name": name, "CreationDate": bucket.creation_date_ISO8601, "BucketRegion": bucket.region_name}
            for name, bucket in sorted(self.backend.buckets.items())
            if name.startswith(prefix) and name > token and region in {None, bucket.region_name}
        ]
        most = int(self._query.get("max-buckets") or len(rows))
        more = {"ContinuationToken": rows[most - 1]["Name"]} if 0 < most < len(rows) else {}
        return self._answered({"Owner": {"ID": OWNER}, "Buckets": rows[:most]} | more)

    def _create_bucket(self) -> Any:
        """A public ACL needs a bucket with ACLs."""
        wanted = self.headers.get("x-amz-object-ownership", ENFORCED)
        if wanted == ENFORCED and self.headers.get("x-amz-acl", "private") != "private":
            raise Refused(
                "InvalidBucketAclWithObjectOwnership",
                f"Bucket cannot have ACLs set with ObjectOwnership's {ENFORCED} setting",
            )
        answer = super()._bucket_response(self.request, self.request.url)
        if "x-amz-acl" in self.headers and "x-amz-object-ownership" not in self.headers:
            # What S3 makes of a private ACL without a word on ownership.
            self.backend.get_bucket(self.bucket_name).ownership_rule = "BucketOwnerPreferred"  # type: ignore[assignment] # as moto keeps it
        return answer

    def _put_policy(self) -> Any:
        bucket = self.backend.get_bucket(self.bucket_name)
        closed = bucket.public_access_block is not None and bucket.public_access_block.block_public_policy
        policy.require_valid(self.body, bucket.name, public=not closed)
        self.backend.put_bucket_policy(bucket.name, self.body)
        return 204, {}, ""

    def _put_replication(self) -> Any:
        configuration = replication.read(self.body)
        bucket = self.backend.get_bucket(self.bucket_name)
        SandboxS3.replicator.check(bucket, configuration)
        bucket.replication = configuration  # type: ignore[attr-defined] # where moto looks for it
        return 200, {}, ""

    def _replication(self) -> Any:
        configuration: Any = self.backend.get_bucket_replication(self.bucket_name)
        if not configuration:
            raise missing("ReplicationConfigurationNotFoundError", "The replication configuration was not found")
        return 200, {"content-type": "application/xml"}, configuration.shown

    def _ownership_controls(self) -> Any:
        bucket = self.backend.get_bucket(self.bucket_name)
        if not bucket.ownership_rule:
            raise missing("OwnershipControlsNotFoundError", "The bucket ownership controls were not found")
        return self._answered({"OwnershipControls": {"Rules": [{"ObjectOwnership": ownership(bucket)}]}})

    def _notification_configuration(self) -> Any:
        """With EventBridge's flag, which is an empty element."""
        status, headers, body = self.get_bucket_notification()
        kept = self.backend.get_bucket_notification_configuration(self.bucket_name)
        if kept is None or kept.event_bridge is None:
            return status, headers, body
        flag, end = "<EventBridgeConfiguration/>", "</NotificationConfiguration>"
        text = (body.decode() if isinstance(body, bytes) else body).rstrip()
        whole = f"{text.removesuffix('/>')}>{end}" if text.endswith("/>") else text
        return status, headers, whole.replace(end, flag + end)

    def _restore_object(self) -> Any:
        key, _ = self._get_key(validate_storage_class=False)
        bucket = self.backend.get_bucket(self.bucket_name)
        return self.restores.begin(bucket, key, self.body), {}, ""


def extend_responses(world: World, restores: Restores, foundings: Foundings) -> None:
    """Let our class answer all paths of S3's."""
    SandboxS3Response.world = world
    SandboxS3Response.restores = restores
    SandboxS3Response.foundings = foundings
    paths = moto_urls("s3").url_paths
    for path in list(paths):
        dispatch = getattr(SandboxS3Response, paths.pop(path).__name__)
        # A key may have line breaks, which a dot does not stand for.
        paths[path.replace("<key_name>.+", r"<key_name>[\s\S]+")] = dispatch
