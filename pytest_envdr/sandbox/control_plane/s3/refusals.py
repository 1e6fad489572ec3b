"""S3's refusals, with the status and code that a client of S3 sees."""

from __future__ import annotations

from http import HTTPStatus
from xml.sax.saxutils import escape

from moto.s3.exceptions import S3ClientError


class Refused(S3ClientError):
    """A request that S3 refuses.

    Attributes:
        status: the HTTP status.
        headers: further headers of the answer.
    """

    def __init__(
        self, code: str, message: str, *, status: int = HTTPStatus.BAD_REQUEST, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(code, message)
        self.status = int(status)
        self.headers = headers or {}

    def answer(self) -> tuple[int, dict[str, str], str]:
        """Status, headers and body."""
        body = f"<Code>{escape(str(self.code))}</Code><Message>{escape(str(self.message))}</Message>"
        headers = {"content-type": "application/xml"} | self.headers
        return self.status, headers, f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{body}</Error>'


def denied() -> Refused:
    """403: not yours, or not allowed; S3 does not say which."""
    return Refused("AccessDenied", "Access Denied", status=HTTPStatus.FORBIDDEN)


def archived() -> Refused:
    """403: the bytes of an archived object cannot be read before they were restored."""
    message = "The operation is not valid for the object's storage class"
    return Refused("InvalidObjectState", message, status=HTTPStatus.FORBIDDEN)


def missing(code: str, message: str) -> Refused:
    """404."""
    return Refused(code, message, status=HTTPStatus.NOT_FOUND)
