"""Container images without Docker: an image is a version of a program on disk, and the directory its containers run in.

An image's digest is that of its manifest, as everywhere; the manifest names one layer by the digest of the content. So
two directories with the same content are the same image, and one byte more is another.

Who makes an image calls `Images.build`. Where it then can be pulled from is for the registry that its reference names:
the account's own is ECR (`control_plane/ecr`), which keeps tags and manifests; any other reference is kept here.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class PushRefused(ValueError):
    """A registry does not take an image: there is no such repository, or the tag is taken and may not be moved."""


@dataclass(frozen=True)
class Reference:
    """`<host>/<repository>:<tag>` or `<host>/<repository>@<digest>`; where both are given, the digest counts."""

    host: str
    repository: str
    tag: str
    digest: str | None

    @classmethod
    def of(cls, text: str) -> Reference:
        """A reference in its parts; no tag means `latest`."""
        name, _, digest = text.partition("@")
        host, _, path = name.partition("/")
        repository, _, tag = path.partition(":")
        return cls(host, repository, tag or "latest", digest or None)


@dataclass(frozen=True)
class Image:
    """What a container is started from.

    Attributes:
        digest: of the manifest, `sha256:...`.
        manifest: its text, as registries keep it.
        directory: the container's root.
    """

    digest: str
    manifest: str
    directory: Path


class Registry(Protocol):
    """Keeps tags and manifests for the references whose host it serves. Called from any thread."""

    def serves(self, host: str) -> bool:
        """Whether references to that host are for this registry."""

    def push(self, reference: Reference, manifest: str) -> None:
        """Put the manifest under the reference's tag. Raises PushRefused."""

    def pull(self, reference: Reference) -> str:
        """The manifest's text. Raises LookupError."""


class Images:
    """All images of one sandbox. Its methods may be called from any thread, with moto's lock or without.

    Attributes:
        store: where images are kept that were built; made when it is needed.
    """

    def __init__(self, store: Path) -> None:
        self.store = store
        self._registries: list[Registry] = []
        self._elsewhere: dict[str, Image] = {}
        self._layers: dict[str, Path] = {}

    def attach(self, registry: Registry) -> None:
        """From now on, this registry answers for the hosts that it serves. Once is enough."""
        if registry not in self._registries:
            self._registries.append(registry)

    def build(self, source: Path, reference: str, *, changes: Mapping[str, str] | None = None) -> str:
        """Make an image of a copy of `source`, and push it: what `docker build` and `docker push` do together.

        It copies and reads every file (15 ms for the application), so it is not for callers who hold moto's lock.

        Args:
            source: the directory; it may be changed or go away afterwards.
            reference: `<registry>/<repository>:<tag>`.
            changes: files of the copy that read otherwise: path within it -> text. A file that was there keeps its
                mode.

        Returns:
            The image's digest, by which it can be pulled as well: `<registry>/<repository>@<digest>`.

        Raises:
            PushRefused: the registry does not take it.
        """
        self.store.mkdir(parents=True, exist_ok=True)
        copy = self.store / f".{uuid4().hex}"
        shutil.copytree(source, copy, symlinks=True)
        for path, text in (changes or {}).items():
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            (copy / path).write_text(text)
        layer, size = _content(copy)
        kept = self.store / layer.removeprefix("sha256:")
        try:
            copy.rename(kept)
        except OSError:  # the same content was built before, or by somebody else at this moment
            shutil.rmtree(copy)
        return self._publish(reference, _image(kept, layer, size))

    def publish(self, reference: str, directory: Path) -> str:
        """Make `reference` pullable; its containers run in `directory` itself. The image's digest.

        What is in the directory must not change afterwards: its digest is taken now.

        Raises:
            PushRefused: the registry does not take it.
        """
        return self._publish(reference, _image(directory, *_content(directory)))

    def _publish(self, reference: str, image: Image) -> str:
        layer = layer_of(image.manifest)
        if not self._layers.setdefault(layer, image.directory).is_dir():
            self._layers[layer] = image.directory
        parts = Reference.of(reference)
        registry = self._registry(parts)
        if registry is None:
            self._elsewhere[reference] = image
        else:
            registry.push(parts, image.manifest)
        return image.digest

    def pull(self, reference: str) -> Image:
        """The image that a reference stands for at this moment.

        Raises:
            LookupError: there is none (ECS: `CannotPullContainerError`).
        """
        parts = Reference.of(reference)
        registry = self._registry(parts)
        if registry is not None:
            manifest = registry.pull(parts)
            return Image(digest(manifest), manifest, self._layers[layer_of(manifest)])
        try:
            return self._elsewhere[reference]
        except KeyError:
            raise LookupError(f"{reference}: not found") from None

    def _registry(self, reference: Reference) -> Registry | None:
        return next((registry for registry in self._registries if registry.serves(reference.host)), None)


def digest(manifest: str) -> str:
    """An image's digest: that of its manifest's bytes."""
    return f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"


def _content(directory: Path) -> tuple[str, int]:
    """The digest of names, modes and bytes of all files, wherever the directory lies; and their size in bytes."""
    total, size = hashlib.sha256(), 0
    for name in sorted(_files(directory)):
        path = os.path.join(directory, name)  # noqa: PTH118 (a sandbox that starts reads hundreds of files)
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            data = os.readlink(path).encode()  # noqa: PTH115
        else:
            with open(path, "rb") as file:  # noqa: PTH123
                data = file.read()
        total.update(f"{name}\0{mode:o}\0{len(data)}\0".encode())
        total.update(data)
        size += len(data)
    return f"sha256:{total.hexdigest()}", size


def _files(directory: Path) -> Iterator[str]:
    """The path within the directory of every file and symbolic link."""
    waiting = [""]
    while waiting:
        below = waiting.pop()
        for entry in os.scandir(os.path.join(directory, below)):  # noqa: PTH118
            if entry.is_dir(follow_symlinks=False):
                waiting.append(f"{below}{entry.name}/")
            else:
                yield f"{below}{entry.name}"


def _image(directory: Path, layer: str, size: int) -> Image:
    config = _json({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer]}})
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": CONFIG_TYPE, "size": len(config), "digest": digest(config)},
            "layers": [{"mediaType": LAYER_TYPE, "size": size, "digest": layer}],
        }
    )
    return Image(digest(manifest), manifest, directory)


def layer_of(manifest: str) -> str:
    """The digest of the content that a manifest names: of the one layer that our images have.

    Raises:
        ValueError: it is no manifest of an image.
    """
    try:
        [layer] = json.loads(manifest)["layers"]
        return str(layer["digest"])
    except (LookupError, TypeError) as error:
        raise ValueError("not the manifest of an image with one layer") from error


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
