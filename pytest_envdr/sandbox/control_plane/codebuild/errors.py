"""The errors that CodeBuild answers with, and what a build fails of."""

from __future__ import annotations

from moto.core.exceptions import ServiceException


class InvalidInputException(ServiceException):
    """The input value that was provided is not valid."""

    code = "InvalidInputException"


class ResourceNotFoundException(ServiceException):
    """The specified resource cannot be found."""

    code = "ResourceNotFoundException"


class ResourceAlreadyExistsException(ServiceException):
    """The specified resource cannot be created: one of the same name is there."""

    code = "ResourceAlreadyExistsException"


class PhaseFailed(Exception):
    """A build's phase did not do what it should.

    Attributes:
        code: the `statusCode` of the phase's context, in CodeBuild's words.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Interrupted(Exception):
    """A build ends before its time.

    Attributes:
        status: STOPPED or TIMED_OUT.
    """

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status
