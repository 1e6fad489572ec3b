"""Answers in AWS's shapes: filters, pages, and nothing said about tags where there are none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from moto.core.responses import ActionResult
from moto.ecr.responses import ECRResponse

from pytest_envdr.sandbox.control_plane.ecr import replication
from pytest_envdr.sandbox.control_plane.ecs.paging import page

if TYPE_CHECKING:
    from datetime import datetime

    from moto.ecr.models import Image

    from pytest_envdr.sandbox.control_plane.ecr.backend import SandboxEcr

PAGE = 100


class EcrResponses(ECRResponse):
    """Answers of the operations that the backend has of its own."""

    def describe_images(self) -> ActionResult:
        """DescribeImages."""
        name = self._get_param("repositoryName")
        backend = cast("SandboxEcr", self.ecr_backend)
        images = backend.describe_images(name, self._get_param("registryId"), self._get_param("imageIds"))
        rows = [
            _details(image, backend.last_pulls.get(f"{name}@{image.image_digest}"))
            for image in images
            if self._wanted(image)
        ]
        return self._page(rows, "imageDetails")

    def describe_image_replication_status(self) -> ActionResult:
        """DescribeImageReplicationStatus."""
        name, wanted = self._get_param("repositoryName"), self._get_param("imageId")
        backend = cast("SandboxEcr", self.ecr_backend)
        [image] = backend.describe_images(name, self._get_param("registryId"), [wanted])
        rows = replication.statuses(backend, name, image.image_digest)
        shown = {"repositoryName": name, "imageId": {**wanted, "imageDigest": image.image_digest}}
        return ActionResult({**shown, "replicationStatuses": rows})

    def list_images(self) -> ActionResult:
        """ListImages: a row for each tag, and one for each image without any."""
        images = self.ecr_backend.describe_images(self._get_param("repositoryName"), self._get_param("registryId"))
        rows: list[dict[str, str]] = []
        for image in images:
            if self._wanted(image):
                identity = {"imageDigest": image.image_digest}
                rows += [{**identity, "imageTag": tag} for tag in image.image_tags] or [identity]
        return self._page(rows, "imageIds")

    def _wanted(self, image: Image) -> bool:
        status = (self._get_param("filter") or {}).get("tagStatus", "ANY")
        return bool(status == "ANY" or (status == "TAGGED") == bool(image.image_tags))

    def _page(self, rows: list[Any], key: str) -> ActionResult:
        size, token = self._get_param("maxResults"), self._get_param("nextToken")
        return ActionResult(page(rows, key, size=size, token=token, default=PAGE))


def _details(image: Image, last_pull: datetime | None) -> dict[str, Any]:
    shown = {
        "registryId": image.registry_id,
        "repositoryName": image.repository_name,
        "imageDigest": image.image_digest,
        "imageTags": list(image.image_tags) or None,
        "imageSizeInBytes": sum(layer["size"] for layer in json.loads(image.image_manifest)["layers"]),
        "imagePushedAt": image.image_pushed_at,
        "imageManifestMediaType": image.image_manifest_media_type,
        "lastRecordedPullTime": last_pull,
    }
    return {name: value for name, value in shown.items() if value is not None}
