"""S3's reads: versions in order, what is stored with an object, bytes over a connection that ends."""

from __future__ import annotations

import hashlib
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from pytest_envdr.aws import Aws, s3
from pytest_envdr.errors import AwsError, NotFound
from tests import account

if TYPE_CHECKING:
    from collections.abc import Iterator


def bucket(*, versioned: bool = True) -> str:
    """A new one."""
    name, client = account.unique("tenant"), account.plain("s3")
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": account.REGION})
    if versioned:
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def test_versions_and_delete_markers_come_as_they_followed_one_another() -> None:
    """Of each key the newest first, delete markers among them, the latest told."""
    name, client, aws = bucket(), account.plain("s3"), Aws(account.stack())
    for body in (b"one", b"two"):
        client.put_object(Bucket=name, Key="b", Body=body)
    client.delete_object(Bucket=name, Key="b")
    client.put_object(Bucket=name, Key="a", Body=b"three")
    versions = list(s3.versions(aws, name))
    assert [(one.key, one.size, one.delete_marker, one.latest) for one in versions] == [
        ("a", 5, False, True),
        ("b", 0, True, True),
        ("b", 3, False, False),
        ("b", 3, False, False),
    ]
    assert [one.storage_class for one in versions] == ["STANDARD", "", "STANDARD", "STANDARD"]
    first, second = (b"".join(s3.contents(aws, name, "b", version_id=one.version_id)) for one in versions[2:])
    assert (first, second) == (b"two", b"one")
    assert [one.key for page in s3.object_pages(aws, name) for one in page] == ["a"]
    assert s3.delete_marker(aws, name, "b")
    assert not s3.delete_marker(aws, name, "c")


def test_a_bucket_without_versioning_has_the_null_version() -> None:
    """Without versioning each object has one version, "null"."""
    name, aws = bucket(versioned=False), Aws(account.stack())
    account.plain("s3").put_object(Bucket=name, Key="a", Body=b"x")
    assert [(one.version_id, one.latest) for one in s3.versions(aws, name)] == [("null", True)]


def test_the_region_of_a_bucket() -> None:
    """It is told wherever one asks; the oldest Region is told as nothing, and named all the same."""
    aws, oldest = Aws(account.stack()), account.unique("oldest")
    account.plain("s3", "us-east-1").create_bucket(Bucket=oldest)
    assert [s3.region(aws, name) for name in (bucket(), oldest)] == ["eu-west-1", "us-east-1"]
    with pytest.raises(AwsError, match="The Region of bucket no-such-bucket cannot be read"):
        s3.region(aws, "no-such-bucket")


def test_what_is_stored_with_an_object() -> None:
    """Headers, metadata, encryption, checksum and the number of tags are read as they were written; how the upload was
    framed is none of it."""
    name, aws = bucket(), Aws(account.stack())
    account.plain("s3").put_object(
        Bucket=name,
        Key="a b",
        Body=b"x",
        ContentType="text/plain",
        ContentEncoding="gzip, aws-chunked",
        Metadata={"Author": "ada"},
        Tagging="team=blue",
        ChecksumAlgorithm="SHA256",
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId="alias/tenant",
    )
    head = s3.head(aws, name, "a b")
    assert (head.size, head.tags, head.encryption, head.encryption_key) == (1, 1, "aws:kms", "alias/tenant")
    assert head.headers == {"Content-Type": "text/plain", "Content-Encoding": "gzip"}
    assert head.metadata == {"author": "ada"}
    assert (list(head.checksums), head.checksum_type) == (["SHA256"], "FULL_OBJECT")
    assert s3.tags(aws, name, "a b") == {"team": "blue"}
    with pytest.raises(AwsError, match="Object 'none'") as caught:
        s3.head(aws, name, "none")
    assert caught.value.code == "404"


def test_a_configuration_that_was_never_made_is_none() -> None:
    """No policy, lifecycle, CORS or website is None; a bucket that is not there is NotFound all the same."""
    name, aws = bucket(), Aws(account.stack())
    nothing = {"policy", "lifecycle", "cors", "website", "replication", "tags", "object-lock", "public-access-block"}
    assert {aspect for aspect in nothing if s3.configuration(aws, name, aspect) is not None} == set()
    assert s3.configuration(aws, name, "versioning") == {"Status": "Enabled"}
    with pytest.raises(NotFound):
        s3.configuration(aws, "envelope-nowhere", "policy")
    with pytest.raises(NotFound, match="There is no bucket envelope-nowhere"):
        s3.check_bucket(aws, "envelope-nowhere")
    s3.check_bucket(aws, name)


def test_a_bucket_whose_name_is_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that is a host's name gets the bucket in the path: the guard has cleared that host alone."""
    monkeypatch.setattr(socket, "getaddrinfo", _loopback(socket.getaddrinfo))
    aws = Aws(account.stack(endpoint=account.endpoint().replace("127.0.0.1", "localhost")))
    s3.check_bucket(aws, bucket())


def _loopback(resolve: object) -> object:
    """`localhost` on IPv4, where moto listens; bucket.localhost would be nowhere."""

    def resolved(host: str, *arguments: object, **options: object) -> object:
        return resolve("127.0.0.1" if host == "localhost" else host, *arguments, **options)  # type: ignore[operator]

    return resolved


BODY = hashlib.shake_256(b"body").digest(5 * 1024 * 1024)


@contextmanager
def breaking_off(after: int) -> Iterator[tuple[str, list[str]]]:
    """A server of one object that ends each connection after so many bytes of the body; its URL, and the ranges that
    it was asked for."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked: list[str] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                request = connection.recv(65536).decode()
                headers = dict(line.lower().split(": ", 1) for line in request.split("\r\n")[1:] if ": " in line)
                asked.append(headers.get("range", ""))
                start = int(headers.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
                assert not start or headers["if-match"] == '"tag"'
                status = "206 Partial Content" if start else "200 OK"
                head = f'HTTP/1.1 {status}\r\nContent-Length: {len(BODY) - start}\r\nETag: "tag"\r\n\r\n'
                connection.sendall(head.encode() + BODY[start : start + after])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_a_body_goes_on_where_the_connection_ended() -> None:
    """Bytes that were read are not asked for again, and the object must still be the same."""
    with breaking_off(2 * 1024 * 1024) as (endpoint, asked):
        aws = Aws(account.stack(endpoint=endpoint))
        assert b"".join(s3.contents(aws, "bucket", "key")) == BODY
    assert asked == ["", *(f"bytes={mebi * 1024 * 1024}-" for mebi in (2, 4))]


def test_a_connection_that_always_ends_is_an_error() -> None:
    """A body that never comes whole is an error that names the object, after some attempts."""
    with breaking_off(1000) as (endpoint, asked), pytest.raises(AwsError, match="Object 'key' of bucket bucket"):
        list(s3.contents(Aws(account.stack(endpoint=endpoint)), "bucket", "key"))
    assert len(asked) == s3.ATTEMPTS
