"""The errors that Lambda answers with."""

from __future__ import annotations

from moto.core.exceptions import ServiceException


class InvalidParameterValueException(ServiceException):
    """One of the parameters in the request is not valid."""

    code = "InvalidParameterValueException"


class InvalidRequestContentException(ServiceException):
    """The request body could not be parsed as JSON."""

    code = "InvalidRequestContentException"


class RequestTooLargeException(ServiceException):
    """The request payload exceeded the Invoke request body JSON input quota."""

    code = "RequestTooLargeException"


class ResourceConflictException(ServiceException):
    """The resource already exists, or another operation is in progress."""

    code = "ResourceConflictException"


class ResourceNotFoundException(ServiceException):
    """The resource specified in the request does not exist."""

    code = "ResourceNotFoundException"


class TooManyRequestsException(ServiceException):
    """The request throughput limit was exceeded: `Rate Exceeded.`, and in which respect.

    Attributes:
        reason: a member of the answer.
    """

    code = "TooManyRequestsException"

    def __init__(self, reason: str) -> None:
        super().__init__("Rate Exceeded.")
        self.reason = reason


class NotPermitted(Exception):
    """A service may not invoke the function: its resource policy does not allow it."""
