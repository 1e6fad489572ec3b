"""The source action for S3: a version of an object becomes the artifact, byte by byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from pytest_envdr.sandbox.control_plane.codepipeline.errors import ActionFailed
from pytest_envdr.sandbox.control_plane.codepipeline.execution import Outcome, Revision

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_plane.codepipeline.job import Job

VERSION, KEY = "S3_OBJECT_VERSION_ID", "S3_OBJECT_KEY"


def run(job: Job) -> Outcome:
    """Fetch the current version, or what StartPipelineExecution named instead, and keep it.

    Raises:
        ActionFailed: it is not there, or its bucket is not versioned.
    """
    configuration = job.action.configuration
    named = {one.kind: one.value for one in job.execution.overrides if one.action == job.action.name}
    bucket, key = configuration["S3Bucket"], named.get(KEY, configuration["S3ObjectKey"])
    version = {"VersionId": named[VERSION]} if VERSION in named else {}
    try:
        answer = job.client("s3").get_object(Bucket=bucket, Key=key, **version)
        body = answer["Body"].read()
    except (ClientError, BotoCoreError) as error:
        words = f"The source object {key} in the bucket {bucket} cannot be fetched: {error}"
        raise ActionFailed("ConfigurationError", words) from error
    identifier = answer.get("VersionId", "null")
    if identifier == "null":
        raise ActionFailed("ConfigurationError", f"The bucket {bucket} does not have versioning enabled")
    artifact = job.action.outputs[0]
    summary = f"Amazon S3 version id: {identifier}"
    url = f"https://console.aws.amazon.com/s3/object/{bucket}?prefix={key}&versionId={identifier}"
    revision = Revision(job.action.name, artifact, identifier, answer["LastModified"], summary, url)
    return Outcome({artifact: job.keep(artifact, body)}, revision, summary)
