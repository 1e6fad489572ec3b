"""The errors that ECR answers with and moto has no class for."""

from __future__ import annotations

from moto.core.exceptions import ServiceException


class ImageTagAlreadyExists(ServiceException):
    """An immutable tag stands for another image already."""

    code = "ImageTagAlreadyExistsException"

    def __init__(self, tag: str, repository: str) -> None:
        super().__init__(
            f"The image tag '{tag}' already exists in the '{repository}' repository "
            "and cannot be overwritten because the repository is immutable."
        )


class ImageDigestDoesNotMatch(ServiceException):
    """The given digest is not the manifest's."""

    code = "ImageDigestDoesNotMatchException"

    def __init__(self, given: str, manifest: str) -> None:
        super().__init__(f"The digest '{given}' does not match the digest '{manifest}' of the image manifest.")


class LayersNotFound(ServiceException):
    """The manifest names content that nobody has pushed."""

    code = "LayersNotFoundException"

    def __init__(self, repository: str, registry: str) -> None:
        super().__init__(
            "The specified layers could not be found in the repository with name "
            f"'{repository}' in registry with id '{registry}'"
        )
