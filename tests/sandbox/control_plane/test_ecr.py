"""The registry: digests of content, tags that move or may not, and images that are gone when they are deleted."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import ecr
from pytest_envdr.sandbox.images import Images, PushRefused
from tests.sandbox.control_plane.served import ACCOUNT, Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REGION = "ap-south-2"
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
MISSING = "sha256:" + "0" * 64


class Registry:
    """The served registry, one of its repositories, and small images for it."""

    def __init__(self, served: Served, directory: Path, name: str) -> None:
        self.ecr = served.client("ecr")
        self.images: Images = served.world.images
        self.directory = directory
        self.name = name

    def create(self, **more: Any) -> None:
        """Make the repository."""
        self.ecr.create_repository(repositoryName=self.name, **more)

    def build(self, text: str, tag: str) -> str:
        """Build an image with a file that says `text`; its digest."""
        source = self.directory / "source"
        source.mkdir(exist_ok=True)
        (source / "main.sh").write_text(text)
        return self.images.build(source, self.reference(tag))

    def reference(self, tag: str) -> str:
        return f"{HOST}/{self.name}:{tag}"

    def told(self, *identifiers: dict[str, str], **more: Any) -> list[dict[str, Any]]:
        """What DescribeImages says."""
        asked = {"imageIds": list(identifiers)} if identifiers else {}
        answer = self.ecr.describe_images(repositoryName=self.name, **asked, **more)
        return list(answer["imageDetails"])

    def tags(self) -> dict[str, str]:
        """Tag to digest."""
        rows = self.ecr.list_images(repositoryName=self.name, filter={"tagStatus": "TAGGED"})["imageIds"]
        return {row["imageTag"]: row["imageDigest"] for row in rows}

    def manifest(self, tag: str) -> str:
        """An image's manifest."""
        [image] = self.ecr.batch_get_image(repositoryName=self.name, imageIds=[{"imageTag": tag}])["images"]
        return str(image["imageManifest"])

    def put(self, manifest: str, tag: str, **more: Any) -> dict[str, Any]:
        """Put a manifest under a tag."""
        answer = self.ecr.put_image(repositoryName=self.name, imageManifest=manifest, imageTag=tag, **more)
        return dict(answer["image"])

    def delete(self, **identifier: str) -> dict[str, Any]:
        """Delete what it names."""
        answer: dict[str, Any] = self.ecr.batch_delete_image(repositoryName=self.name, imageIds=[identifier])
        return answer


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A registry without anything that runs."""
    directory = tmp_path_factory.mktemp("registry")
    with serving(directory, {"ecr": ecr}, region=REGION, network="127.245.0.0/16", speed=50) as served:
        yield served


@pytest.fixture
def registry(served: Served, tmp_path: Path, request: pytest.FixtureRequest) -> Registry:
    """A repository of the test's own, whose tags may move."""
    registry = Registry(served, tmp_path, request.node.name.split("[")[0])
    registry.create()
    return registry


def test_the_digest_is_the_contents(registry: Registry, tmp_path: Path) -> None:
    """The same content elsewhere is the same image; another byte, name or mode is another one."""
    one = tmp_path / "one"
    (one / "bin").mkdir(parents=True)
    (one / "bin" / "serve").write_text("exec true\n")
    two = tmp_path / "two"
    shutil.copytree(one, two)
    assert registry.images.build(one, registry.reference("a")) == registry.images.publish(registry.reference("b"), two)
    seen = {registry.images.publish("elsewhere/one:1", one)}
    (two / "bin" / "serve").chmod(0o755)
    seen.add(registry.images.publish("elsewhere/two:1", two))
    (two / "bin" / "serve").write_text("exec true;\n")
    seen.add(registry.images.publish("elsewhere/two:1", two))
    (two / "bin" / "serve").rename(two / "bin" / "server")
    seen.add(registry.images.publish("elsewhere/two:1", two))
    (two / "link").symlink_to("bin")
    seen.add(registry.images.publish("elsewhere/two:1", two))
    assert len(seen) == 5


def test_what_is_published_is_told(registry: Registry) -> None:
    """DescribeImages, ListImages and BatchGetImage have the digest that the build gave, which is the manifest's."""
    digest = registry.build("echo 1", "1")
    registry.build("echo 22", "2")
    [told] = registry.told({"imageTag": "1"})
    assert (told["imageDigest"], told["imageTags"], told["imageSizeInBytes"]) == (digest, ["1"], 6)
    assert registry.told({"imageDigest": digest}) == [told]
    assert [row["imageTags"] for row in registry.told()] == [["1"], ["2"]]
    assert registry.tags()["1"] == digest
    manifest = registry.manifest("1")
    assert f"sha256:{sha256(manifest.encode()).hexdigest()}" == digest
    assert json.loads(manifest)["mediaType"] == told["imageManifestMediaType"]
    with pytest.raises(ClientError, match="ImageNotFoundException"):
        registry.told({"imageTag": "3"})
    with pytest.raises(ClientError, match="RepositoryNotFoundException"):
        registry.ecr.describe_images(repositoryName="nothing")


def test_lists_come_in_pages(registry: Registry) -> None:
    """botocore's paginators see every image once, and every tag."""
    for number in range(3):
        registry.build(f"echo {number}", str(number))
    registry.put(registry.manifest("0"), "latest")
    for operation, key in (("describe_images", "imageDetails"), ("list_images", "imageIds")):
        pages = registry.ecr.get_paginator(operation).paginate(
            repositoryName=registry.name, PaginationConfig={"PageSize": 2}
        )
        sizes = [len(page[key]) for page in pages]
        assert sizes == ([2, 1] if key == "imageDetails" else [2, 2])


def test_a_tag_moves_and_what_it_left_stays(registry: Registry) -> None:
    """PutImage with a manifest that is there moves the tag; the image without a tag is still there, by its digest."""
    good, bad = registry.build("echo good", "stable"), registry.build("exit 1", "bad")
    assert registry.put(registry.manifest("bad"), "stable")["imageId"] == {"imageDigest": bad, "imageTag": "stable"}
    assert registry.tags() == {"bad": bad, "stable": bad}
    assert registry.images.pull(registry.reference("stable")).digest == bad
    assert registry.images.pull(f"{HOST}/{registry.name}@{good}").digest == good
    [left] = registry.told(filter={"tagStatus": "UNTAGGED"})
    assert left["imageDigest"] == good
    assert "imageTags" not in left
    listed = registry.ecr.list_images(repositoryName=registry.name, filter={"tagStatus": "UNTAGGED"})["imageIds"]
    assert listed == [{"imageDigest": good}]
    with pytest.raises(ClientError, match=f"Image with digest '{bad}' and tag 'stable' already exists"):
        registry.put(registry.manifest("bad"), "stable")


def test_an_immutable_tag_stays(registry: Registry) -> None:
    """Neither PutImage nor a push moves it; pushing the same image again is no error; a filter lets some tags move."""
    registry.ecr.put_image_tag_mutability(repositoryName=registry.name, imageTagMutability="IMMUTABLE")
    good = registry.build("echo good", "1.0")
    registry.build("exit 1", "1.1")
    with pytest.raises(ClientError, match="cannot be overwritten because the repository is immutable") as caught:
        registry.put(registry.manifest("1.1"), "1.0")
    assert caught.value.response["Error"]["Code"] == "ImageTagAlreadyExistsException"
    with pytest.raises(PushRefused, match=r"The image tag '1\.0' already exists"):
        registry.build("echo other", "1.0")
    assert registry.build("echo good", "1.0") == good == registry.tags()["1.0"]
    registry.ecr.put_image_tag_mutability(
        repositoryName=registry.name,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "latest*"}],
    )
    registry.build("echo good", "latest-1")
    assert registry.build("echo newer", "latest-1") == registry.tags()["latest-1"]
    with pytest.raises(ClientError, match="ImageTagAlreadyExistsException"):
        registry.put(registry.manifest("1.1"), "1.0")


def test_a_deleted_image_cannot_be_pulled(registry: Registry) -> None:
    """A tag goes alone while there are others; with the last one, or by its digest, the image goes."""
    digest = registry.build("echo 1", "a")
    registry.put(registry.manifest("a"), "b")
    assert registry.delete(imageTag="a")["imageIds"] == [{"imageDigest": digest, "imageTag": "a"}]
    assert registry.images.pull(registry.reference("b")).digest == digest
    registry.delete(imageTag="b")
    for reference in (registry.reference("b"), f"{HOST}/{registry.name}@{digest}"):
        with pytest.raises(LookupError):
            registry.images.pull(reference)
    assert registry.told() == []
    digest = registry.build("echo 2", "c")
    registry.put(registry.manifest("c"), "d")
    gone = registry.delete(imageDigest=digest)["imageIds"]
    assert gone == [{"imageDigest": digest, "imageTag": tag} for tag in "cd"]
    assert registry.tags() == {}


def test_what_is_not_there_is_said_to_be_so(registry: Registry) -> None:
    """Batch operations name what they did not find, and do the rest."""
    registry.build("echo 1", "a")
    wanted = [{"imageTag": "none"}, {"imageTag": "a"}, {"imageTag": "a", "imageDigest": MISSING}]
    answer = registry.ecr.batch_get_image(repositoryName=registry.name, imageIds=wanted)
    assert [image["imageId"]["imageTag"] for image in answer["images"]] == ["a"]
    assert [(row["imageId"], row["failureCode"]) for row in answer["failures"]] == [
        (wanted[0], "ImageNotFound"),
        (wanted[2], "ImageNotFound"),
    ]
    deleted = registry.ecr.batch_delete_image(repositoryName=registry.name, imageIds=[wanted[0], {}])
    assert [row["failureCode"] for row in deleted["failures"]] == ["ImageNotFound", "MissingDigestAndTag"]


def test_only_what_was_built_can_be_put(registry: Registry) -> None:
    """A manifest whose layers nobody pushed, no manifest at all, and a wrong digest are refused."""
    registry.build("echo 1", "a")
    manifest = json.loads(registry.manifest("a"))
    unknown = {**manifest, "layers": [{**manifest["layers"][0], "digest": MISSING}]}
    for text, code in (
        (json.dumps(unknown), "LayersNotFoundException"),
        (json.dumps({**manifest, "layers": []}), "InvalidParameterException"),
        ("{}", "InvalidParameterException"),
        ("no JSON", "InvalidParameterException"),
    ):
        with pytest.raises(ClientError) as caught:
            registry.put(text, "b")
        assert caught.value.response["Error"]["Code"] == code
    with pytest.raises(ClientError, match="ImageDigestDoesNotMatchException"):
        registry.put(json.dumps(manifest), "b", imageDigest=MISSING)
    with pytest.raises(ClientError, match="NotImplementedInSandbox"):
        registry.ecr.initiate_layer_upload(repositoryName=registry.name)


def test_a_push_needs_a_repository(registry: Registry) -> None:
    """There is no repository of that name, in this Region or any other: refused, and nothing to pull."""
    for host in (HOST, HOST.replace(REGION, "eu-central-1")):
        reference = f"{host}/nothing:1"
        with pytest.raises(PushRefused, match="repository with name 'nothing' does not exist"):
            registry.images.build(registry.directory, reference)
        with pytest.raises(LookupError):
            registry.images.pull(reference)


def test_the_repository_keeps_its_settings(registry: Registry) -> None:
    """Tag mutability and lifecycle policy are as they were put."""
    [told] = registry.ecr.describe_repositories(repositoryNames=[registry.name])["repositories"]
    assert (told["repositoryUri"], told["imageTagMutability"]) == (f"{HOST}/{registry.name}", "MUTABLE")
    selection = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 5}
    policy = json.dumps({"rules": [{"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}]})
    registry.ecr.put_lifecycle_policy(repositoryName=registry.name, lifecyclePolicyText=policy)
    kept = registry.ecr.get_lifecycle_policy(repositoryName=registry.name)["lifecyclePolicyText"]
    assert json.loads(kept) == json.loads(policy)


def test_builds_at_the_same_time(registry: Registry, tmp_path: Path) -> None:
    """Eight threads push eight images, four of them the same: every tag stands for its own content."""
    sources = []
    for number in range(8):
        source = tmp_path / str(number)
        source.mkdir()
        (source / "main.sh").write_text(f"echo {number % 5}")
        sources.append(source)
    with ThreadPoolExecutor(max_workers=8) as threads:
        tagged = zip(sources, range(8), strict=True)
        work = [threads.submit(registry.images.build, source, registry.reference(f"t{n}")) for source, n in tagged]
        digests = [one.result() for one in work]
    assert registry.tags() == {f"t{number}": digest for number, digest in enumerate(digests)}
    assert len(set(digests)) == 5
    for number in range(8):
        pulled = registry.images.pull(registry.reference(f"t{number}"))
        assert (pulled.directory / "main.sh").read_text() == f"echo {number % 5}"


def test_an_image_does_not_change_with_its_source(registry: Registry) -> None:
    """What was built stays when the source is changed, and changes asked for are in the image only."""
    source = registry.directory / "app"
    source.mkdir()
    (source / "run").write_text("one")
    (source / "run").chmod(0o755)
    registry.images.build(source, registry.reference("1"))
    registry.images.build(source, registry.reference("2"), changes={"run": "two", "etc/version": "2"})
    shutil.rmtree(source)
    first, second = (registry.images.pull(registry.reference(tag)).directory for tag in "12")
    assert [(one / "run").read_text() for one in (first, second)] == ["one", "two"]
    assert (second / "etc" / "version").read_text() == "2"
    assert (second / "run").stat().st_mode & 0o777 == 0o755


def test_the_cli_shows_an_image(served: Served, registry: Registry) -> None:
    """Debian's AWS CLI understands the answers, and tags an image anew as ECR's documentation does it."""
    digest = registry.build("echo 1", "a")
    common = ["--repository-name", registry.name]
    manifest = served.cli_json("ecr", "batch-get-image", *common, "--image-ids", "imageTag=a")["images"][0]
    served.cli("ecr", "put-image", *common, "--image-tag", "b", "--image-manifest", manifest["imageManifest"])
    [told] = served.cli_json("ecr", "describe-images", *common)["imageDetails"]
    assert (told["imageDigest"], sorted(told["imageTags"])) == (digest, ["a", "b"])
