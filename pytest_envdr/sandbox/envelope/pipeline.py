"""The stack's way to production: a source in S3, a build, an image in the registry, a deployment of the api.

A source is a zip of the application with a buildspec.yml: `app/` as it is, or a version that is broken on purpose. The
pipeline follows `MAIN`; an execution may be told to take `TEST`, the test branch, which holds the same at first. Older
versions of that hold the application broken in each way that a build does not notice.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.control_plane.codepipeline import history
from pytest_envdr.sandbox.control_plane.codepipeline.execution import Location
from pytest_envdr.sandbox.envelope.images import APP, BROKEN
from pytest_envdr.sandbox.envelope.names import ACCOUNT, CLUSTER, IMAGE, LOWER_TAGS, PREFIX, REGISTRY, REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_envdr.sandbox.envelope.account import Account

PIPELINE, PROJECT = f"{PREFIX}-pipeline", f"{PREFIX}-build"
SOURCES, ARTIFACTS = f"{PREFIX}-sources-{ACCOUNT}", f"{PREFIX}-artifacts-{ACCOUNT}"
MAIN, TEST = "main/envelope.zip", "test/envelope.zip"
SOURCE, BUILD, DEPLOY = "Source", "Build", "Deploy"
"""The stages; each has one action, of the same name."""
SERVICE, CONTAINER = f"{PREFIX}-api", "api"
# The number makes the tag a new one each time: the repository's tags are immutable.
BUILDSPEC = f"""\
version: 0.2
env:
  variables:
    REPOSITORY: {REGISTRY}/{REPOSITORY}
phases:
  pre_build:
    commands:
      - TAG=build-$CODEBUILD_BUILD_NUMBER-$(echo "$CODEBUILD_RESOLVED_SOURCE_VERSION" | cut -c 1-8)
      - echo "$TAG" > VERSION
      - test -f artisan -a -f bin/serve
  build:
    commands:
      - docker build -t "$REPOSITORY:$TAG" .
      - docker push "$REPOSITORY:$TAG"
  post_build:
    commands:
      - printf '[{{"name":"{CONTAINER}","imageUri":"%s"}}]' "$REPOSITORY:$TAG" > imagedefinitions.json
artifacts:
  files:
    - imagedefinitions.json
"""


def source(changes: Mapping[str, str] | None = None) -> bytes:
    """A zip of the application; `changes` are files that read otherwise, as `images.Version.changes` gives them."""
    files = {path.relative_to(APP).as_posix(): path.read_bytes() for path in sorted(APP.rglob("*")) if path.is_file()}
    files |= {name: text.encode() for name, text in (changes or {}).items()}
    return _zip({**files, "buildspec.yml": BUILDSPEC.encode()})


def create(account: Account) -> dict[str, str]:
    """Buckets, project and pipeline, and in its history the execution that deployed what runs. Gives the versions of
    `TEST` that are broken: the tag of the image that is broken so -> version id.

    To be called while the stack's past is made up: otherwise the pipeline would run at once, as it does on AWS.
    """
    s3 = account.client("s3")
    for bucket in (SOURCES, ARTIFACTS):
        account.bucket(bucket)
    s3.put_bucket_versioning(Bucket=SOURCES, VersioningConfiguration={"Status": "Enabled"})
    body = source()
    broken = {
        one.tag: str(s3.put_object(Bucket=SOURCES, Key=TEST, Body=source(one.changes()))["VersionId"]) for one in BROKEN
    }
    revision, _ = (s3.put_object(Bucket=SOURCES, Key=key, Body=body)["VersionId"] for key in (MAIN, TEST))
    account.client("codebuild").create_project(**_project(account.role("build", "codebuild")))
    pipeline = _pipeline(account.role("pipeline", "codepipeline"))
    account.client("codepipeline").create_pipeline(pipeline=pipeline, tags=LOWER_TAGS)
    images = json.dumps([{"name": CONTAINER, "imageUri": IMAGE}]).encode()
    artifacts = {"App": body, "Built": _zip({"imagedefinitions.json": images})}
    for name, content in artifacts.items():
        s3.put_object(Bucket=ARTIFACTS, Key=f"{PIPELINE}/{name}/first", Body=content)
    places = {name: Location(ARTIFACTS, f"{PIPELINE}/{name}/first") for name in artifacts}
    history.record(account.world, PIPELINE, revisions={SOURCE: revision}, artifacts=places)
    return broken


def _project(role: str) -> dict[str, Any]:
    return {
        "name": PROJECT,
        "source": {"type": "CODEPIPELINE"},
        "artifacts": {"type": "CODEPIPELINE"},
        "environment": {
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/amazonlinux2-x86_64-standard:5.0",
            "computeType": "BUILD_GENERAL1_SMALL",
            "privilegedMode": True,
        },
        "serviceRole": role,
        "tags": LOWER_TAGS,
        "timeoutInMinutes": 20,
    }


def _pipeline(role: str) -> dict[str, Any]:
    follows = {
        "S3Bucket": SOURCES,
        "S3ObjectKey": MAIN,
        "PollForSourceChanges": "true",
        "AllowOverrideForS3ObjectKey": "true",
    }
    deploys = {"ClusterName": CLUSTER, "ServiceName": SERVICE, "DeploymentTimeout": "15"}
    actions = [
        _action(SOURCE, "S3", follows, outputs=["App"]),
        _action(BUILD, "CodeBuild", {"ProjectName": PROJECT}, inputs=["App"], outputs=["Built"]),
        _action(DEPLOY, "ECS", deploys, inputs=["Built"]),
    ]
    return {
        "name": PIPELINE,
        "roleArn": role,
        "artifactStore": {"type": "S3", "location": ARTIFACTS},
        "pipelineType": "V2",
        "executionMode": "SUPERSEDED",
        "stages": [{"name": action["name"], "actions": [action]} for action in actions],
    }


def _action(
    category: str,
    provider: str,
    configuration: dict[str, str],
    *,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
) -> dict[str, Any]:
    return {
        "name": category,
        "actionTypeId": {"category": category, "owner": "AWS", "provider": provider, "version": "1"},
        "configuration": configuration,
        "inputArtifacts": [{"name": name} for name in inputs],
        "outputArtifacts": [{"name": name} for name in outputs],
    }


def _zip(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()
