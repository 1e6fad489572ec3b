"""The errors that AWS Backup answers with, and what its jobs fail of."""

from __future__ import annotations

from moto.core.exceptions import ServiceException


class ResourceNotFoundException(ServiceException):
    """A resource that is required for the action doesn't exist."""

    code = "ResourceNotFoundException"


class InvalidParameterValueException(ServiceException):
    """Something is wrong with a parameter's value."""

    code = "InvalidParameterValueException"


class MissingParameterValueException(ServiceException):
    """A required parameter is missing."""

    code = "MissingParameterValueException"


class InvalidRequestException(ServiceException):
    """Something is wrong with the request in the state that things are in."""

    code = "InvalidRequestException"


class InvalidResourceStateException(ServiceException):
    """AWS Backup is already performing an action on this recovery point."""

    code = "InvalidResourceStateException"


class AlreadyExistsException(ServiceException):
    """The required resource already exists."""

    code = "AlreadyExistsException"


class JobFailed(Exception):
    """A job's end, in AWS Backup's words.

    Attributes:
        category: the job's `MessageCategory`.
    """

    def __init__(self, message: str, category: str = "InvalidParameters") -> None:
        super().__init__(message)
        self.category = category


class NotYet(Exception):
    """A job cannot start now, but may later within its start window."""
