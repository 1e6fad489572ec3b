"""Checksums of objects, as S3 computes, verifies and reports them.

An object that was sent without one gets CRC64NVME from S3 itself (since December 2024). A whole object's is of the type
FULL_OBJECT; one put together from parts has, for CRC32, CRC32C and SHA, a checksum of the parts' checksums: COMPOSITE.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import sys
import zlib
from array import array
from functools import cache
from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.s3.refusals import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from moto.s3.models import FakeKey

DEFAULT = "CRC64NVME"
FULL, COMPOSITE = "FULL_OBJECT", "COMPOSITE"
POLYNOMIALS = {"CRC32C": (0x82F63B78, 32), DEFAULT: (0x9A6C9329AC4BC9B5, 64)}
"""Reflected polynomial and width of those that Python has not."""
HASHES = {"SHA1": "sha1", "SHA256": "sha256", "SHA512": "sha512"}
ALGORITHMS = ("CRC32", *POLYNOMIALS, *HASHES)
HEADER = "x-amz-checksum-"
TRAILER_BYTES = 512
"""How much of the end of a chunked body is looked at for a trailing checksum."""


def compute(algorithm: str, body: bytes) -> str:
    """A checksum in S3's notation, base64.

    Raises:
        NotImplementedError: an algorithm that is not here (XXHash).
    """
    return base64.b64encode(_digest(algorithm, body)).decode()


def composite(algorithm: str, parts: Sequence[bytes]) -> str:
    """The checksum of the parts' checksums, with their number."""
    return f"{compute(algorithm, b''.join(_digest(algorithm, part) for part in parts))}-{len(parts)}"


def of(key: FakeKey) -> tuple[str, str, str]:
    """An object's algorithm, checksum and type; S3's own where its sender gave none.

    Computed from the stored bytes when first asked for: a CRC in Python takes 50 ns a byte.
    """
    if not key.checksum_value or not key.checksum_algorithm:
        key.checksum_algorithm, key.checksum_value, key.checksum_type = DEFAULT, compute(DEFAULT, key.value), FULL
    return key.checksum_algorithm, key.checksum_value, key.checksum_type or FULL


def verified(headers: Mapping[str, str], raw: bytes, body: bytes) -> tuple[str, str] | None:
    """The checksum that a request brings for its body; None where it brings none.

    Args:
        headers: the request's.
        raw: the body as it was sent, which ends with the checksum where that is a trailer.
        body: the body itself.

    Raises:
        Refused: InvalidDigest, BadDigest: Content-MD5 is none, or of another body; InvalidRequest, BadDigest: so is the
            checksum; XAmzContentSHA256Mismatch: so is the signed digest.
    """
    _verify_md5(headers.get("content-md5"), body)
    signed = headers.get("x-amz-content-sha256", "")
    if re.fullmatch(r"[0-9a-f]{64}", signed) and hashlib.sha256(body).hexdigest() != signed:
        raise Refused(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )
    brought = given(headers, raw)
    if brought is not None:
        _verify(*brought, body)
    return brought


def given(headers: Mapping[str, str], raw: bytes = b"") -> tuple[str, str] | None:
    """Algorithm and value of the checksum that a request names, in a header or a trailer."""
    named = [(name, headers.get(f"{HEADER}{name.lower()}") or _trailing(name, headers, raw)) for name in ALGORITHMS]
    brought = [(name, value) for name, value in named if value]
    if len(brought) > 1:
        raise Refused(
            "InvalidRequest",
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        )
    return brought[0] if brought else None


def _trailing(algorithm: str, headers: Mapping[str, str], raw: bytes) -> str | None:
    name = f"{HEADER}{algorithm.lower()}"
    if headers.get("x-amz-trailer", "").strip().lower() != name:
        return None
    found = re.search(rb"(?i)" + name.encode() + rb"\s*:\s*([A-Za-z0-9+/=]+)", raw[-TRAILER_BYTES:])
    return found.group(1).decode() if found else None


def _verify_md5(sent: str | None, body: bytes) -> None:
    if sent is None:
        return
    if len(_decoded(sent)) != hashlib.md5(b"", usedforsecurity=False).digest_size:
        raise Refused("InvalidDigest", "The Content-MD5 you specified was invalid.")
    if _decoded(sent) != hashlib.md5(body, usedforsecurity=False).digest():
        raise Refused("BadDigest", "The Content-MD5 you specified did not match what we received.")


def _verify(algorithm: str, sent: str, body: bytes) -> None:
    computed = _digest(algorithm, body)
    if len(_decoded(sent)) != len(computed):
        raise Refused("InvalidRequest", f"Value for {HEADER}{algorithm.lower()} header is invalid.")
    if _decoded(sent) != computed:
        raise Refused("BadDigest", f"The {algorithm} you specified did not match the calculated checksum.")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""


def _digest(algorithm: str, body: bytes) -> bytes:
    if algorithm == "CRC32":
        return zlib.crc32(body).to_bytes(4, "big")
    if algorithm in HASHES:
        return hashlib.new(HASHES[algorithm], body, usedforsecurity=False).digest()
    if algorithm not in POLYNOMIALS:
        raise NotImplementedError(f"S3 checksum {algorithm}")
    return _crc(algorithm, body).to_bytes(POLYNOMIALS[algorithm][1] // 8, "big")


def _crc(algorithm: str, body: bytes) -> int:
    """A reflected CRC, two bytes a step."""
    table, width = _table(algorithm), POLYNOMIALS[algorithm][1]
    ones = (1 << width) - 1
    crc, even = ones, len(body) & ~1
    words = array("H", body[:even])
    if sys.byteorder == "big":
        words.byteswap()
    for word in words:
        crc = table[(crc ^ word) & 0xFFFF] ^ crc >> 16
    if len(body) > even:
        crc = _stepped(crc ^ body[even], POLYNOMIALS[algorithm][0], bits=8)
    return crc ^ ones


@cache
def _table(algorithm: str) -> list[int]:
    polynomial = POLYNOMIALS[algorithm][0]
    single = [_stepped(byte, polynomial, bits=8) for byte in range(256)]
    # Two bytes are the first one's step, and the second's on what is left of it.
    return [single[(single[word & 0xFF] ^ word >> 8) & 0xFF] ^ single[word & 0xFF] >> 8 for word in range(65_536)]


def _stepped(crc: int, polynomial: int, *, bits: int) -> int:
    for _ in range(bits):
        crc = crc >> 1 ^ polynomial if crc & 1 else crc >> 1
    return crc
