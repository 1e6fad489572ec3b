"""The errors that CodePipeline answers with, and what an action fails of."""

from __future__ import annotations

from moto.core.exceptions import ServiceException


class ValidationException(ServiceException):
    """The validation was specified in an invalid format."""

    code = "ValidationException"


class ConflictException(ServiceException):
    """The pipeline is busy handling ongoing activities."""

    code = "ConflictException"


class PipelineNotFoundException(ServiceException):
    """There is no such pipeline."""

    code = "PipelineNotFoundException"


class PipelineNameInUseException(ServiceException):
    """The name is taken."""

    code = "PipelineNameInUseException"


class PipelineExecutionNotFoundException(ServiceException):
    """There is no such execution of this pipeline."""

    code = "PipelineExecutionNotFoundException"


class PipelineExecutionNotStoppableException(ServiceException):
    """The execution is not in progress."""

    code = "PipelineExecutionNotStoppableException"


class DuplicatedStopRequestException(ServiceException):
    """The execution is stopping already."""

    code = "DuplicatedStopRequestException"


class PipelineExecutionOutdatedException(ServiceException):
    """The execution was started in another structure version of the pipeline."""

    code = "PipelineExecutionOutdatedException"


class StageNotFoundException(ServiceException):
    """There is no such stage."""

    code = "StageNotFoundException"


class ActionNotFoundException(ServiceException):
    """There is no such action."""

    code = "ActionNotFoundException"


class StageNotRetryableException(ServiceException):
    """The stage has no failed actions, or the pipeline has changed."""

    code = "StageNotRetryableException"


class NotLatestPipelineExecutionException(ServiceException):
    """Another execution was in the stage since."""

    code = "NotLatestPipelineExecutionException"


class UnableToRollbackStageException(ServiceException):
    """The stage is running, is a source stage, or the target execution cannot be one."""

    code = "UnableToRollbackStageException"


class InvalidApprovalTokenException(ServiceException):
    """The approval request has expired, or the token is another one's."""

    code = "InvalidApprovalTokenException"


class ApprovalAlreadyCompletedException(ServiceException):
    """The approval action has been approved or rejected already."""

    code = "ApprovalAlreadyCompletedException"


class InvalidStructureException(ServiceException):
    """The structure was specified in an invalid format."""

    code = "InvalidStructureException"


class InvalidStageDeclarationException(ServiceException):
    """The stage declaration was specified in an invalid format."""

    code = "InvalidStageDeclarationException"


class InvalidActionDeclarationException(ServiceException):
    """The action declaration was specified in an invalid format."""

    code = "InvalidActionDeclarationException"


class ActionFailed(Exception):
    """An action's end, in CodePipeline's words.

    Attributes:
        code: the `errorDetails`' code: JobFailed, ConfigurationError, ...
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Abandoned(Exception):
    """Nobody waits for the action any more."""
