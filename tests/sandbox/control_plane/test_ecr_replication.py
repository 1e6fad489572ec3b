"""Images in another Region: what is pushed after replication was configured is there too, by the same digest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import ecr
from pytest_envdr.waiting import wait_until
from tests.sandbox.control_plane.served import ACCOUNT, Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HERE, THERE = "eu-west-1", "eu-central-1"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("ecr")
    with serving(
        directory, {"ecr": ecr}, region=HERE, network="127.15.0.0/16", speed=100, beside=(THERE, "127.16.0.0/16")
    ) as served:
        yield served


@pytest.fixture(scope="module")
def there(served: Served) -> Any:
    """A client of the other Region's registry."""
    assert served.beside is not None
    return served.beside.client("ecr")


def configure(served: Served, *prefixes: str, account: str = ACCOUNT) -> None:
    """Replicate repositories with these prefixes."""
    filters = [{"filter": prefix, "filterType": "PREFIX_MATCH"} for prefix in prefixes]
    rule = {"destinations": [{"region": THERE, "registryId": account}], "repositoryFilters": filters}
    served.client("ecr").put_replication_configuration(replicationConfiguration={"rules": [rule]})


def build(served: Served, source: Path, repository: str, tag: str, text: str) -> str:
    """Push an image; its digest."""
    source.mkdir(exist_ok=True)
    (source / "main.sh").write_text(text)
    host = f"{ACCOUNT}.dkr.ecr.{HERE}.amazonaws.com"
    return served.world.images.build(source, f"{host}/{repository}:{tag}")


def await_status(served: Served, repository: str, digest: str, status: str) -> dict[str, Any]:
    """Wait until an image's replication is so."""
    client = served.client("ecr")
    row = wait_until(
        lambda: client.describe_image_replication_status(repositoryName=repository, imageId={"imageDigest": digest})[
            "replicationStatuses"
        ],
        lambda rows: [row["status"] for row in rows] == [status],
        what=f"{digest} {status}",
        deadline=30,
    )
    return dict(row[0])


def test_what_is_pushed_afterwards_is_replicated(served: Served, there: Any, tmp_path: Path) -> None:
    """An image pushed before stays here; one pushed later can be pulled there, and is when it was deleted here."""
    client = served.client("ecr")
    client.create_repository(repositoryName="shop", imageTagMutability="IMMUTABLE")
    before = build(served, tmp_path / "a", "shop", "1.0", "echo before")
    configure(served, "sh")
    after = build(served, tmp_path / "b", "shop", "1.1", "echo after")
    await_status(served, "shop", after, "COMPLETE")
    rows = there.describe_images(repositoryName="shop")["imageDetails"]
    assert [(row["imageDigest"], row["imageTags"]) for row in rows] == [(after, ["1.1"])]
    [repository] = there.describe_repositories()["repositories"]
    assert repository["imageTagMutability"] == "MUTABLE"
    client.batch_delete_image(repositoryName="shop", imageIds=[{"imageDigest": after}])
    pulled = served.world.images.pull(f"{ACCOUNT}.dkr.ecr.{THERE}.amazonaws.com/shop@{after}")
    assert (pulled.directory / "main.sh").read_text() == "echo after"
    with pytest.raises(LookupError):
        served.world.images.pull(f"{ACCOUNT}.dkr.ecr.{THERE}.amazonaws.com/shop@{before}")


def test_only_named_repositories_are_replicated(served: Served, there: Any, tmp_path: Path) -> None:
    """A repository whose name has none of the prefixes stays where it is, and its manifest cannot be put elsewhere."""
    configure(served, "other/")
    served.client("ecr").create_repository(repositoryName="alone")
    digest = build(served, tmp_path / "a", "alone", "1.0", "echo alone")
    image = {"repositoryName": "alone", "imageIds": [{"imageDigest": digest}]}
    manifest = served.client("ecr").batch_get_image(**image)["images"][0]["imageManifest"]
    answer = served.client("ecr").describe_image_replication_status(
        repositoryName="alone", imageId={"imageDigest": digest}
    )
    assert answer["replicationStatuses"] == []
    there.create_repository(repositoryName="alone")
    with pytest.raises(ClientError, match="LayersNotFoundException"):
        there.put_image(repositoryName="alone", imageManifest=manifest, imageTag="1.0")


def test_a_replication_that_is_refused_there_fails(served: Served, there: Any, tmp_path: Path) -> None:
    """Where the tag stands for another image and may not move, the status is FAILED, and says why."""
    configure(served, "fixed")
    served.client("ecr").create_repository(repositoryName="fixed")
    first = build(served, tmp_path / "a", "fixed", "1.0", "echo first")
    await_status(served, "fixed", first, "COMPLETE")
    there.put_image_tag_mutability(repositoryName="fixed", imageTagMutability="IMMUTABLE")
    second = build(served, tmp_path / "a", "fixed", "1.0", "echo second")
    assert await_status(served, "fixed", second, "FAILED")["failureCode"] == "ImageTagAlreadyExistsException"
    assert there.describe_images(repositoryName="fixed")["imageDetails"][0]["imageDigest"] == first


def test_another_account_is_not_replicated_to(served: Served) -> None:
    """A destination in another account is not implemented."""
    with pytest.raises(ClientError, match="NotImplementedInSandbox"):
        configure(served, "shop", account="210987654321")
