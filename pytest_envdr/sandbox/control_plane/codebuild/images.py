"""The `docker` that a build's commands find: an image is a directory, and pushing it lets ECS run it.

A small program in the build's PATH hands its arguments over as a file, and waits for the answer; the runner answers
while the command runs.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from pytest_envdr.sandbox.images import PushRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_envdr.sandbox.world import World

PROGRAM = """#!/bin/sh
asked=$(mktemp -p {spool})
printf '%s\\0' "$PWD" "$@" > "$asked"
mv "$asked" "$asked.asked"
while [ ! -e "$asked.code" ]; do sleep 0.02; done
cat "$asked.said"
exit "$(cat "$asked.code")"
"""
IGNORED = frozenset({"buildspec.yml", "Dockerfile", ".dockerignore"})
"""What of a context is no part of the image."""


class Refused(Exception):
    """What docker would say before it ends with exit code 1."""


@dataclass
class Docker:
    """One build's images.

    Attributes:
        world: where they are published.
        directory: where the program is, and what it asks.
    """

    world: World
    directory: Path
    _local: dict[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True)
        self._spool = self.directory / "asked"
        self._spool.mkdir()
        program = self.directory / "docker"
        program.write_text(PROGRAM.format(spool=self._spool))
        program.chmod(0o755)

    def answer(self) -> None:
        """Do what was asked since the last time."""
        for asked in sorted(self._spool.glob("*.asked")):
            directory, *words = asked.read_text().split("\0")[:-1]
            try:
                said, code = self._do(Path(directory), words), 0
            except Refused as error:
                said, code = str(error), 1
            asked.with_suffix(".said").write_text(f"{said}\n")
            partial = asked.with_suffix(".partial")
            partial.write_text(str(code))
            partial.rename(asked.with_suffix(".code"))
            asked.unlink()

    def _do(self, directory: Path, words: list[str]) -> str:
        verb, rest = (words[0], words[1:]) if words else ("", [])
        if verb == "login":
            return "Login Succeeded"
        if verb in {"build", "buildx"}:
            return self._build(directory, rest)
        if verb == "tag" and len(rest) == 2:
            self._local[_tagged(rest[1])] = self._image(rest[0])
            return ""
        if verb == "push" and rest:
            return self._push(_tagged(rest[-1]))
        raise Refused(f"docker: the sandbox has build, tag, push and login, not: docker {' '.join(words)}")

    def _build(self, directory: Path, words: list[str]) -> str:
        tags = [words[at + 1] for at, word in enumerate(words[:-1]) if word in {"-t", "--tag"}]
        tags += [word.partition("=")[2] for word in words if word.startswith("--tag=")]
        context = directory / words[-1] if words else directory
        if not context.is_dir():
            raise Refused(f"ERROR: unable to prepare context: path {str(context)!r} not found")
        image = self.directory / uuid4().hex
        if base := _base(context):
            shutil.copytree(self._image(base), image)
        shutil.copytree(context, image, dirs_exist_ok=True, ignore=_ignoring(context))
        self._local |= {_tagged(tag): image for tag in tags}
        return f"Successfully built {image.name[:12]}\n" + "\n".join(f"Successfully tagged {tag}" for tag in tags)

    def _push(self, reference: str) -> str:
        if reference not in self._local:
            raise Refused(f"An image does not exist locally with the tag: {reference.rpartition(':')[0]}")
        repository, _, tag = reference.rpartition(":")
        try:
            digest = self.world.images.build(self._local[reference], reference)
        except PushRefused as error:
            raise Refused(f"denied: {error}") from error
        return f"The push refers to repository [{repository}]\n{tag}: digest: {digest}"

    def _image(self, reference: str) -> Path:
        try:
            return self._local.get(_tagged(reference)) or self.world.images.pull(_tagged(reference)).directory
        except LookupError as error:
            raise Refused(f"Error response from daemon: {error}") from error


def _base(context: Path) -> str | None:
    """The image that the Dockerfile begins with, if there is one and it is not empty."""
    dockerfile = context / "Dockerfile"
    lines = dockerfile.read_text().splitlines() if dockerfile.is_file() else []
    named = [words[1] for line in lines if len(words := line.split()) > 1 and words[0].upper() == "FROM"]
    return named[0] if named and named[0] != "scratch" else None


def _ignoring(context: Path) -> Callable[[str, list[str]], set[str]]:
    def ignored(directory: str, names: list[str]) -> set[str]:
        return set(names) & IGNORED if Path(directory) == context else set()

    return ignored


def _tagged(reference: str) -> str:
    return reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"
