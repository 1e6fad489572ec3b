"""The errors that ECS answers with and moto has no class for, and why a task did not start."""

from __future__ import annotations

from moto.ecs.exceptions import EcsClientException, ECSException, InvalidParameterException

__all__ = [
    "ClusterContainsServices",
    "ClusterContainsTasks",
    "ConflictException",
    "EcsClientException",
    "InvalidParameterException",
    "ServiceDeploymentNotFound",
    "ServiceNotActive",
    "TaskFailedToStart",
    "UnsupportedFeature",
]

_INITIALIZATION = "ResourceInitializationError:"
_RETRIEVAL = (
    f"{_INITIALIZATION} unable to pull secrets or registry auth: "
    "execution resource retrieval failed: unable to retrieve"
)
_RETRIED = "service call has been retried 1 time(s):"


class ServiceNotActive(ECSException):
    """The service is draining or inactive."""

    def __init__(self) -> None:
        super().__init__("ServiceNotActiveException", "Service was not ACTIVE.")


class ClusterContainsServices(ECSException):
    """The cluster still has active services."""

    def __init__(self) -> None:
        text = "The Cluster cannot be deleted while Services are active."
        super().__init__("ClusterContainsServicesException", text)


class ClusterContainsTasks(ECSException):
    """The cluster still has tasks that are not stopped."""

    def __init__(self) -> None:
        super().__init__("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.")


class ServiceDeploymentNotFound(ECSException):
    """No service deployment has that ARN."""

    def __init__(self) -> None:
        super().__init__("ServiceDeploymentNotFoundException", "Service deployment not found.")


class UnsupportedFeature(ECSException):
    """Not for services whose deployments are another's: CodeDeploy's, or an external controller's."""

    def __init__(self) -> None:
        text = "Service deployments are only supported with ECS deployment controller."
        super().__init__("UnsupportedFeatureException", text)


class ConflictException(ECSException):
    """What is asked for does not go together with the present state."""

    def __init__(self, message: str) -> None:
        super().__init__("ConflictException", message)


class TaskFailedToStart(Exception):
    """A task cannot reach RUNNING; the text is its `stoppedReason`, in AWS's words."""

    @classmethod
    def cannot_pull(cls, image: str) -> TaskFailedToStart:
        return cls(
            "CannotPullContainerError: pull image manifest has been retried 1 time(s): "
            f"failed to resolve ref {image}: {image}: not found"
        )

    @classmethod
    def cannot_start(cls, program: str) -> TaskFailedToStart:
        return cls(
            f"CannotStartContainerError: {_INITIALIZATION} failed to create new container runtime task: "
            "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container "
            f'process: exec: "{program}": executable file not found in $PATH: unknown'
        )

    @classmethod
    def no_command(cls) -> TaskFailedToStart:
        return cls("CannotCreateContainerError: Error response from daemon: no command specified")

    @classmethod
    def no_secret(cls, reference: str) -> TaskFailedToStart:
        return cls(
            f"{_RETRIEVAL} secret from asm: {_RETRIED} failed to fetch secret {reference} from secrets manager: "
            "ResourceNotFoundException: Secrets Manager can't find the specified secret."
        )

    @classmethod
    def no_secret_key(cls, reference: str, key: str) -> TaskFailedToStart:
        return cls(
            f"{_RETRIEVAL} secret from asm: {_RETRIED} retrieved secret from Secrets Manager did not contain json key "
            f"{key} ({reference})"
        )

    @classmethod
    def no_parameter(cls, reference: str) -> TaskFailedToStart:
        return cls(f"{_RETRIEVAL} secrets from ssm: {_RETRIED} invalid ssm parameters: {reference}")

    @classmethod
    def no_log_group(cls) -> TaskFailedToStart:
        return cls(
            f"{_INITIALIZATION} failed to validate logger args: create stream has been retried 1 times: failed to "
            "create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist. : "
            "exit status 1"
        )

    @classmethod
    def no_subnet(cls, problem: str) -> TaskFailedToStart:
        return cls(f"{_INITIALIZATION} unable to provision the network interface: InvalidSubnetID.NotFound: {problem}")

    @classmethod
    def no_address(cls, subnet: str) -> TaskFailedToStart:
        return cls(
            f"{_INITIALIZATION} unable to provision the network interface: InsufficientFreeAddressesInSubnet: "
            f"{subnet} has no free addresses"
        )
