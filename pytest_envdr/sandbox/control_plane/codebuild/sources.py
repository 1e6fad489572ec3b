"""What is built, and what came of it: zip files in S3."""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from pytest_envdr.sandbox.control_plane.codebuild.errors import PhaseFailed

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_envdr.sandbox.control_plane.codebuild.build import Destination, Origin
    from pytest_envdr.sandbox.control_plane.codebuild.buildspec import Artifacts


def download(s3: Any, origin: Origin, directory: Path) -> None:
    """Unzip the source into a directory; programs stay executable.

    Raises:
        PhaseFailed: it is not there, or no zip file.
    """
    version = {"VersionId": origin.version} if origin.version else {}
    try:
        body = s3.get_object(Bucket=origin.bucket, Key=origin.key, **version)["Body"].read()
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            for member in archive.infolist():
                made = archive.extract(member, directory)
                _allow(directory / made, member.external_attr >> 16)
    except (ClientError, BotoCoreError) as error:
        raise PhaseFailed("CLIENT_ERROR", f"{error} for primary source and source version {origin.arn}") from error
    except zipfile.BadZipFile as error:
        raise PhaseFailed("CLIENT_ERROR", f"{error} for primary source and source version {origin.arn}") from error


def _allow(made: Path, mode: int) -> None:
    if made.is_file() and mode & 0o111:
        made.chmod(0o755)


def upload(s3: Any, wanted: Artifacts, directory: Path, destination: Destination) -> str:
    """Zip the files that the buildspec names, and put them where they go; their digest.

    Raises:
        PhaseFailed: there are none, or they cannot be put there.
    """
    base = directory / wanted.base
    files = sorted({path for pattern in wanted.files for path in base.glob(pattern) if path.is_file()})
    if not files:
        raise PhaseFailed("CLIENT_ERROR", "no matching artifact paths found")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.write(path, path.name if wanted.flat else str(path.relative_to(base)))
    try:
        s3.put_object(Bucket=destination.bucket, Key=destination.key, Body=packed.getvalue())
    except (ClientError, BotoCoreError) as error:
        raise PhaseFailed("CLIENT_ERROR", f"Error in UPLOAD_ARTIFACTS phase: {error}") from error
    return hashlib.sha256(packed.getvalue()).hexdigest()
