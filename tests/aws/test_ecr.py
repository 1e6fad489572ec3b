"""Images in ECR: what a container definition's `image` names, and the digest that it stands for."""

from __future__ import annotations

import json

import pytest

from pytest_envdr.aws import Aws, ecr
from tests import account

HOST = f"{account.ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
MEDIA_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
DIGEST = f"sha256:{'a' * 64}"
NAMED = {
    f"{HOST}/app:1.2": ("app", {"imageTag": "1.2"}),
    f"{HOST}/app": ("app", {"imageTag": "latest"}),
    f"{HOST}/team/app@{DIGEST}": ("team/app", {"imageDigest": DIGEST}),
    f"{account.ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn/app:x": ("app", {"imageTag": "x"}),
}
ELSEWHERE = [
    "nginx",
    "nginx:1.27",
    "ghcr.io/team/app:1",
    "public.ecr.aws/nginx/nginx:1",
    f"{HOST}/app@sha256:short",
    "",
]


@pytest.mark.parametrize("image", NAMED)
def test_an_image_in_ecr(image: str) -> None:
    """Repository, and tag or digest; without either, the tag `latest`."""
    found = ecr.reference(image)
    assert found is not None
    assert found.account == account.ACCOUNT
    assert (found.repository, found.identifier) == NAMED[image]


@pytest.mark.parametrize("image", ELSEWHERE)
def test_an_image_elsewhere(image: str) -> None:
    """Another registry's image, or none, is not looked for in ECR."""
    assert ecr.reference(image) is None


def test_its_digest() -> None:
    """By tag and by digest; a tag that is gone, or a repository, has none."""
    aws, client, name = Aws(account.stack()), account.plain("ecr"), account.unique("app")
    client.create_repository(repositoryName=name)
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MEDIA_TYPE, "config": {"digest": DIGEST}, "layers": []})
    made = client.put_image(repositoryName=name, imageTag="1", imageManifest=manifest)["image"]["imageId"][
        "imageDigest"
    ]
    held = {tag: ecr.digest(aws, _reference(f"{HOST}/{tag}")) for tag in (f"{name}:1", f"{name}@{made}", f"{name}:2")}
    assert list(held.values()) == [made, made, ""]
    assert ecr.digest(aws, _reference(f"{HOST}/{name}-elsewhere:1")) == ""


def _reference(image: str) -> ecr.Reference:
    found = ecr.reference(image)
    assert found is not None
    return found
