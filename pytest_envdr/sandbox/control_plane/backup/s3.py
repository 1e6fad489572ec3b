"""S3 buckets as a kind of resource that is backed up."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.backup import s3_restore
from pytest_envdr.sandbox.control_plane.backup.errors import JobFailed
from pytest_envdr.sandbox.control_plane.backup.s3_content import BucketContent, backend, bucket_of, take

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_envdr.sandbox.control_plane.backup.background import Background, Progress, Work
    from pytest_envdr.sandbox.control_plane.backup.jobs import BackupJob, RestoreJob
    from pytest_envdr.sandbox.control_plane.backup.resources import Content
    from pytest_envdr.sandbox.world import World

ISSUES_SHOWN = 10


class Buckets:
    """The buckets of the world's account and Region."""

    type = "S3"

    def __init__(self, world: World, background: Background) -> None:
        self._world, self._background = world, background

    def arns(self) -> list[str]:
        buckets = list(backend(self._world.account).buckets.values())
        return [f"arn:aws:s3:::{bucket.name}" for bucket in buckets if bucket.region_name == self._world.region]

    def tags(self, arn: str) -> Mapping[str, str]:
        return dict(backend(self._world.account).tagger.get_tag_dict_for_resource(arn))

    def capture(self, job: BackupJob, previous: Content | None) -> BucketCapture:
        bucket = bucket_of(self._world.account, job.resource)
        if bucket is None:
            raise JobFailed(f"The resource {job.resource} does not exist.", "ResourceNotFound")
        before = previous.held if isinstance(previous, Held) else None
        account, options = self._world.account, job.options or {}
        work = self._background.start(lambda progress: take(account, bucket, options, before, progress))
        return BucketCapture(self, work)

    def point_arn(self, job: BackupJob) -> str:
        stamp = f"{job.created:%Y%m%d%H%M%S}-{secrets.token_hex(4)}"
        name = job.resource.rsplit(":", 1)[-1]
        return f"arn:aws:backup:{self._world.region}:{job.account}:recovery-point:{name}-{stamp}"

    def receive(self, content: Content, job: str, key: str | None) -> BucketCapture:  # noqa: ARG002 (one signature)
        if not isinstance(content, Held):
            raise JobFailed("The recovery point is none of a bucket.")
        copied = content.held.copied()
        return BucketCapture(self, self._background.start(lambda _: copied))

    def copy_arn(self, resource: str, job: str) -> str:
        name = resource.rsplit(":", 1)[-1]
        region, account = self._world.region, self._world.account
        return f"arn:aws:backup:{region}:{account}:recovery-point:{name}-{job.lower()}"

    def test_metadata(self, content: Content) -> dict[str, str]:
        """Source: "Restore testing inferred metadata"."""
        return content.metadata() | {
            "DestinationBucketName": f"awsbackup-restore-test-{secrets.token_hex(8)}",
            "NewBucket": "true",
        }

    def restore(self, content: BucketContent, job: RestoreJob) -> BucketRestoration:
        """Begin to write a recovery point into a bucket."""
        wanted, world = s3_restore.order(job.metadata), self._world
        bucket = s3_restore.destination(world.account, world.region, wanted, content)
        if job.tags and wanted.new:
            backend(world.account).put_bucket_tagging(bucket.name, job.tags)

        def act(progress: Progress) -> s3_restore.Outcome:
            return s3_restore.write(world.account, bucket, wanted, content, progress)

        return BucketRestoration(world.account, bucket.name, self._background.start(act))


class BucketCapture:
    """A bucket being copied."""

    def __init__(self, buckets: Buckets, work: Work[BucketContent]) -> None:
        self._buckets, self._work = buckets, work

    def percent(self) -> float:
        return self._work.percent()

    def content(self) -> Held:
        return Held(self._buckets, self._work.result())

    def issues(self) -> list[str]:
        skipped = sorted(set(self._work.result().skipped))
        return [f"{key}: objects in an archive storage class are not backed up." for key in skipped]

    def cancel(self) -> None:
        self._work.cancel()


class Held:
    """A bucket's content in a vault."""

    def __init__(self, buckets: Buckets, content: BucketContent) -> None:
        self._buckets, self.held = buckets, content
        self.size = content.size

    def metadata(self) -> dict[str, str]:
        return {
            "DestinationBucketName": self.held.bucket,
            "NewBucket": "false",
            "Encrypted": "true",
            "EncryptionType": "original",
            "CreationToken": secrets.token_hex(16),
        }

    def check(self, metadata: Mapping[str, str]) -> None:
        s3_restore.order(metadata)

    def restore(self, job: RestoreJob) -> BucketRestoration:
        return self._buckets.restore(self.held, job)

    def delete(self) -> None:
        self.held.delete()


class BucketRestoration:
    """A bucket being written to, or written."""

    def __init__(self, account: str, bucket: str, work: Work[s3_restore.Outcome]) -> None:
        self._account, self._bucket, self._work = account, bucket, work

    def percent(self) -> float:
        return self._work.percent()

    @property
    def arn(self) -> str:
        return f"arn:aws:s3:::{self._bucket}"

    def failures(self) -> list[str]:
        return self._work.result().failures

    def delete(self) -> bool:
        """Empty and delete the bucket."""
        s3 = backend(self._account)
        bucket = s3.buckets.get(self._bucket)
        if bucket is not None:
            for key in list(bucket.keys._self_iterable()):
                bucket.keys.pop(key)
            s3.delete_bucket(self._bucket)
        return True
