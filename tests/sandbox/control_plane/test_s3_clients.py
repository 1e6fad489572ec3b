"""S3 through other clients than boto3: the AWS CLI's `s3 sync`, and rclone, which takes no byte on trust."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from pytest_envdr.sandbox.control_plane import s3
from pytest_envdr.settings import search_path
from tests.sandbox.control_plane.served import Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REGION = "eu-central-2"
FILES = {
    "plain.txt": b"plain",
    "empty": b"",
    "a folder/100% + tax (Steuer) 封筒.csv": "id;Zoë\n".encode(),
    "large.bin": bytes(range(256)) * 33_000,  # over 8 MB: both clients send it in parts
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("s3")
    with serving(directory, {"s3": s3}, region=REGION, network="127.8.0.0/16", speed=100) as served:
        yield served


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Some files."""
    root = tmp_path / "tree"
    for name, content in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def make(served: Served, name: str) -> str:
    where = {"LocationConstraint": REGION}
    served.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration=where)
    return name


def read(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def rclone(served: Served, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Debian's rclone, told of the sandbox by its environment alone, as remote `M`."""
    remote = {
        "TYPE": "s3",
        "PROVIDER": "Other",
        "ENDPOINT": served.world.endpoint,
        "ACCESS_KEY_ID": "test",
        "SECRET_ACCESS_KEY": "test",
        "REGION": REGION,
        "FORCE_PATH_STYLE": "true",
        "NO_CHECK_BUCKET": "true",
        # Without, this rclone sends `private`, which a bucket without ACLs refuses (rclone issue 6413).
        "ACL": "bucket-owner-full-control",
    }
    environment = {f"RCLONE_CONFIG_M_{name}": value for name, value in remote.items()}
    environment |= {"PATH": search_path(), "RCLONE_CONFIG": "/dev/null"}
    command = ["rclone", *arguments, "--retries", "1", "--low-level-retries", "1"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_cli_brings_files_there_and_back(served: Served, tree: Path, tmp_path: Path) -> None:
    """`aws s3 sync` up and down: the same files with the same bytes, and nothing more to do afterwards."""
    for path in tree.rglob("*"):
        os.utime(path, (0, 0))  # S3 keeps whole seconds: a file of the same second looks newer than its object
    bucket = make(served, "synced")
    served.cli("s3", "sync", str(tree), f"s3://{bucket}")
    assert served.cli("s3", "sync", str(tree), f"s3://{bucket}", "--dryrun") == ""
    served.cli("s3", "sync", f"s3://{bucket}", str(tmp_path / "back"))
    assert read(tmp_path / "back") == FILES
    head = served.cli_json(
        "s3api", "head-object", "--bucket", bucket, "--key", "large.bin", "--checksum-mode", "ENABLED"
    )
    assert head["ETag"].endswith('-2"')


def test_the_cli_copies_between_buckets(served: Served) -> None:
    """Within S3, in one piece and in parts: the copy's bytes are the original's."""
    first, second = make(served, "copied-from"), make(served, "copied-to")
    client = served.client("s3")
    for name, content in FILES.items():
        client.put_object(Bucket=first, Key=name, Body=content)
    served.cli("s3", "sync", f"s3://{first}", f"s3://{second}")
    for name, content in FILES.items():
        assert client.get_object(Bucket=second, Key=name)["Body"].read() == content


def test_the_cli_removes_a_delete_marker(served: Served) -> None:
    """list-object-versions and delete-object by version id, as a runbook has them."""
    bucket = make(served, "marked")
    client = served.client("s3")
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    client.put_object(Bucket=bucket, Key="a b.txt", Body=b"content")
    client.delete_object(Bucket=bucket, Key="a b.txt")
    [marker] = served.cli_json("s3api", "list-object-versions", "--bucket", bucket)["DeleteMarkers"]
    names = ["--bucket", bucket, "--key", marker["Key"], "--version-id", marker["VersionId"]]
    assert served.cli_json("s3api", "delete-object", *names)["DeleteMarker"] is True
    assert client.get_object(Bucket=bucket, Key="a b.txt")["Body"].read() == b"content"


def test_rclone_finds_no_difference_but_those_that_there_are(served: Served, tree: Path) -> None:
    """rclone's own copy is checked by rclone, byte by byte; another byte of the same length is a difference."""
    bucket = make(served, "rcloned")
    copied = rclone(served, "copy", str(tree), f"M:{bucket}", "--s3-upload-cutoff", "8M", "--s3-chunk-size", "8M")
    assert copied.returncode == 0, copied.stderr
    checked = rclone(served, "check", "--download", str(tree), f"M:{bucket}")
    assert checked.returncode == 0, checked.stderr
    served.client("s3").put_object(Bucket=bucket, Key="plain.txt", Body=b"PLAIN")
    checked = rclone(served, "check", str(tree), f"M:{bucket}")
    assert checked.returncode == 1
    assert "plain.txt: md5 differ" in checked.stderr
    assert "1 differences found" in checked.stderr


def test_rclone_lists_and_deletes(served: Served) -> None:
    """`lsf` lists the keys, folder by folder; `delete` leaves none."""
    bucket = make(served, "listed")
    for name in set(FILES) - {"large.bin"}:
        served.client("s3").put_object(Bucket=bucket, Key=name, Body=FILES[name])
    listed = rclone(served, "lsf", "--recursive", "--files-only", f"M:{bucket}")
    assert sorted(listed.stdout.splitlines()) == sorted(set(FILES) - {"large.bin"}), listed.stderr
    assert rclone(served, "delete", f"M:{bucket}").returncode == 0
    assert "Contents" not in served.client("s3").list_objects_v2(Bucket=bucket)
