"""moto's ECR with tags that move and images that go as on AWS, and manifests that stand for something."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NoReturn

from moto.ecr.exceptions import ImageAlreadyExistsException, InvalidParameterException
from moto.ecr.models import ECRBackend, Image, Repository
from typing_extensions import override

from pytest_envdr.sandbox.control_plane.ecr import replication
from pytest_envdr.sandbox.control_plane.ecr.errors import (
    ImageDigestDoesNotMatch,
    ImageTagAlreadyExists,
    LayersNotFound,
)
from pytest_envdr.sandbox.control_plane.extension import moto_urls
from pytest_envdr.sandbox.images import digest as digest_of
from pytest_envdr.sandbox.images import layer_of

if TYPE_CHECKING:
    from types import ModuleType

    from pytest_envdr.sandbox.control_plane.ecr.replication import Copy
    from pytest_envdr.sandbox.world import World

Ids = list[dict[str, str]]


class SandboxEcr(ECRBackend):
    """All repositories of an account in a Region.

    Attributes:
        world: None where no control loop acts.
        last_pulls: `<repository>@<digest>` to when that image was last pulled.
        copies: what was and is replicated to other Regions, in the order of its pushes.
    """

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.world: World | None = None
        self.last_pulls: dict[str, datetime] = {}
        self.copies: list[Copy] = []

    @property
    @override
    def _url_module(self) -> ModuleType:
        return moto_urls("ecr")

    @override
    def put_image(
        self,
        repository_name: str,
        image_manifest: str,
        image_tag: str | None,
        image_manifest_mediatype: str | None = None,
        digest: str | None = None,
    ) -> Image:
        """PutImage: a manifest under a tag, or a tag moved to a manifest that is there."""
        repository = self._get_repository(repository_name)
        kind = image_manifest_mediatype or self._media_type(image_manifest)
        if digest and digest != digest_of(image_manifest):
            raise ImageDigestDoesNotMatch(digest, digest_of(image_manifest))
        if not self._holds(image_manifest):
            raise LayersNotFound(repository_name, repository.registry_id)
        found = self._find(repository, {"imageDigest": digest_of(image_manifest)})
        if found is not None and (image_tag is None or image_tag in found.image_tags):
            raise ImageAlreadyExistsException(
                repository_name, repository.registry_id, found.image_digest, image_tag or "null"
            )
        image = self._put(repository, image_manifest, image_tag, kind)
        replication.begin(self, repository.name, image.image_digest, image_manifest, image_tag)
        return image

    def push(self, repository_name: str, manifest: str, tag: str) -> None:
        """What a push does: as PutImage, but a tag that stands for that very image already is no error."""
        repository = self._get_repository(repository_name)
        found = self._find(repository, {"imageDigest": digest_of(manifest)})
        if found is None or tag not in found.image_tags:
            self._put(repository, manifest, tag, self._media_type(manifest))
            replication.begin(self, repository.name, digest_of(manifest), manifest, tag)

    def receive(self, repository_name: str, manifest: str, tag: str | None) -> None:
        """What comes from another Region's registry; a repository that is not there is made.

        Raises:
            ImageTagAlreadyExists: the tag is immutable, and stands for another image here.
        """
        if repository_name not in self.repositories:
            self.create_repository(repository_name, self.account_id, {"encryptionType": "AES256"}, None, "MUTABLE", [])
        self._put(self._get_repository(repository_name), manifest, tag, self._media_type(manifest))

    @override
    def put_replication_configuration(self, replication_config: dict[str, Any]) -> dict[str, Any]:
        """PutReplicationConfiguration, for images that are pushed from now on."""
        replication.check(self, replication_config)
        return super().put_replication_configuration(replication_config)

    def pull(self, repository_name: str, wanted: dict[str, str]) -> str:
        """The manifest of an image that is pulled at this moment.

        Raises:
            RepositoryNotFoundException: there is no such repository.
            ImageNotFoundException: there is no such image in it.
        """
        image = self._get_repository(repository_name)._get_image(wanted.get("imageTag"), wanted.get("imageDigest"))
        self.last_pulls[f"{repository_name}@{image.image_digest}"] = datetime.now(UTC)
        return str(image.image_manifest)

    @override
    def describe_images(
        self, repository_name: str, registry_id: str | None = None, image_ids: Ids | None = None
    ) -> list[Image]:
        """DescribeImages, each image once, in the order in which they were asked for or pushed."""
        repository = self._get_repository(repository_name, registry_id)
        if not image_ids:
            return list(repository.images)
        asked = (repository._get_image(wanted.get("imageTag"), wanted.get("imageDigest")) for wanted in image_ids)
        return list({image.image_digest: image for image in asked}.values())

    @override
    def batch_get_image(
        self, repository_name: str, registry_id: str | None = None, image_ids: Ids | None = None
    ) -> dict[str, Any]:
        """BatchGetImage: manifests, and what was not found under the id that was asked for."""
        repository = self._get_repository(repository_name, registry_id)
        answer: dict[str, Any] = {"images": [], "failures": []}
        for wanted in image_ids or []:
            image = self._find(repository, wanted)
            if image is None:
                answer["failures"].append(_failure(wanted, "ImageNotFound", "Requested image not found"))
                continue
            shown: dict[str, Any] = {"registryId": repository.registry_id, "repositoryName": repository.name}
            shown |= {"imageManifest": image.image_manifest, "imageManifestMediaType": image.image_manifest_media_type}
            answer["images"].append({**shown, "imageId": {**wanted, "imageDigest": image.image_digest}})
        return answer

    @override
    def batch_delete_image(
        self, repository_name: str, registry_id: str | None = None, image_ids: Ids | None = None
    ) -> dict[str, Any]:
        """BatchDeleteImage: a tag goes, and with the last one its image; a digest takes all tags with it."""
        repository = self._get_repository(repository_name, registry_id)
        answer: dict[str, Any] = {"imageIds": [], "failures": []}
        for wanted in image_ids or []:
            if not wanted:
                reason = "Invalid request parameters: both tag and digest cannot be null"
                answer["failures"].append(_failure(wanted, "MissingDigestAndTag", reason))
            elif (image := self._find(repository, wanted)) is None:
                answer["failures"].append(_failure(wanted, "ImageNotFound", "Requested image not found"))
            else:
                answer["imageIds"] += _delete(repository, image, wanted.get("imageTag"))
        return answer

    @override
    def initiate_layer_upload(self, repository_name: str, registry_id: str | None = None) -> NoReturn:
        """An image comes from a build; layers are not taken one by one."""
        raise NotImplementedError

    def _put(self, repository: Repository, manifest: str, tag: str | None, kind: str) -> Image:
        holder = self._find(repository, {"imageTag": tag}) if tag else None
        if holder is not None and tag is not None:
            if immutable(repository, tag):
                raise ImageTagAlreadyExists(tag, repository.name)
            holder.remove_tag(tag)  # the image stays, and can be pulled by its digest
        image = self._find(repository, {"imageDigest": digest_of(manifest)})
        if image is None:
            image = Image(
                self.account_id,
                tag,  # type: ignore[arg-type] # moto handles None
                manifest,
                repository.name,
                kind,
                digest_of(manifest),
            )
            repository.images = [*repository.images, image]
        elif tag is not None:
            image.update_tag(tag)
        return image

    @staticmethod
    def _find(repository: Repository, wanted: dict[str, str]) -> Image | None:
        tag, digest = wanted.get("imageTag"), wanted.get("imageDigest")
        for image in repository.images:
            if (tag is None or tag in image.image_tags) and (digest is None or digest == image.image_digest):
                return image
        return None

    def _holds(self, manifest: str) -> bool:
        """Whether the content that a manifest names is in one of this Region's repositories."""
        images = (image for repository in self.repositories.values() for image in repository.images)
        try:
            return layer_of(manifest) in {layer_of(image.image_manifest) for image in images}
        except ValueError as error:
            raise _invalid("ImageManifest", str(error)) from error

    @staticmethod
    def _media_type(manifest: str) -> str:
        try:
            return str(json.loads(manifest)["mediaType"])
        except ValueError as error:
            raise _invalid("ImageManifest", "Invalid JSON syntax") from error
        except (LookupError, TypeError) as error:
            raise _invalid("ImageManifestMediaType", "missing in the request and in the manifest") from error


def immutable(repository: Repository, tag: str) -> bool:
    """Whether a tag, once given, stays with its image."""
    filters = repository.image_tag_mutability_exclusion_filters or []
    excluded = any(fnmatchcase(tag, rule["filter"]) for rule in filters)
    return repository.is_tag_immutable() != excluded


def _delete(repository: Repository, image: Image, tag: str | None) -> Ids:
    """What was deleted: a tag, or all that there is of an image."""
    gone = [tag] if tag else list(image.image_tags)
    for one in gone:
        image.remove_tag(one)
    if not image.image_tags:
        repository.images = [other for other in repository.images if other is not image]
    identity = {"imageDigest": image.image_digest}
    return [{**identity, "imageTag": one} for one in gone] or [identity]


def _failure(wanted: dict[str, str], code: str, reason: str) -> dict[str, Any]:
    return {"imageId": wanted, "failureCode": code, "failureReason": reason}


def _invalid(name: str, constraint: str) -> InvalidParameterException:
    return InvalidParameterException(f"Invalid parameter at '{name}' failed to satisfy constraint: '{constraint}'")
