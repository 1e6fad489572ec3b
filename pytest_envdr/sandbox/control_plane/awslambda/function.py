"""A function: moto's, with what Lambda knows of it besides."""

from __future__ import annotations

import io
import time
import uuid
import zipfile
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.awslambda.models import LambdaFunction, lambda_backends
from typing_extensions import override

from pytest_envdr.sandbox.control_plane.awslambda import delays
from pytest_envdr.sandbox.control_plane.awslambda.errors import (
    InvalidParameterValueException,
    ResourceConflictException,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_envdr.sandbox.world import World

LATEST = "$LATEST"
RUNTIME = "python3"
UNSUPPORTED = ("Layers", "FileSystemConfigs", "ImageConfig", "CapacityProviderConfig", "DurableConfig", "TenancyConfig")
"""What a function may have on AWS, and here a request for it is answered 501."""
UPDATED = frozenset(
    {
        *("DeadLetterConfig", "Description", "Environment", "EphemeralStorage", "FunctionName", "Handler", "KMSKeyArn"),
        *("Layers", "MemorySize", "RevisionId", "Role", "Runtime", "Timeout", "TracingConfig", "VpcConfig"),
    }
)
"""What of UpdateFunctionConfiguration is heeded; the rest is answered 501."""
SNAPSHOTS = "/snapshots/"
"""The path under which a function's code can be fetched."""


@dataclass(frozen=True)
class Deployment:
    """What of a function one execution runs: its code and configuration as of then."""

    name: str
    arn: str
    version: str
    handler: str
    runtime: str
    seconds: float
    mebibytes: int
    variables: Mapping[str, str]
    code: bytes
    digest: str
    group: str


@dataclass(frozen=True)
class InvokeConfig:
    """How asynchronous invocations are dealt with; None and "" for what was not set."""

    modified: datetime
    retries: int | None = None
    age: int | None = None
    on_success: str = ""
    on_failure: str = ""

    def updated(self, given: Mapping[str, Any], now: datetime) -> InvokeConfig:
        """With what a request names; the rest stays."""
        changes: dict[str, Any] = {"modified": now}
        if given.get("MaximumRetryAttempts") is not None:
            changes["retries"] = given["MaximumRetryAttempts"]
        if given.get("MaximumEventAgeInSeconds") is not None:
            changes["age"] = given["MaximumEventAgeInSeconds"]
        for key, name in (("OnSuccess", "on_success"), ("OnFailure", "on_failure")):
            if key in given.get("DestinationConfig", {}):
                changes[name] = given["DestinationConfig"][key].get("Destination", "")
        return replace(self, **changes)

    def shown(self, arn: str) -> dict[str, Any]:
        """As the API answers it; `arn` is the function's with the qualifier."""
        destinations = {"OnSuccess": self.on_success, "OnFailure": self.on_failure}
        shown = {
            "FunctionArn": arn,
            "LastModified": self.modified,
            "MaximumRetryAttempts": self.retries,
            "MaximumEventAgeInSeconds": self.age,
            "DestinationConfig": {key: {"Destination": to} if to else {} for key, to in destinations.items()},
        }
        return {key: value for key, value in shown.items() if value is not None}


@dataclass
class Life:
    """What all versions of a function share.

    Attributes:
        running: executions that run now.
        active_at: since when it is Active; monotonic.
        updated_at: since when the last update is in effect; monotonic.
        before: what it was before that update.
        dead_letter: where events go that failed: the ARN of a queue or topic.
        configs: by qualifier, how asynchronous invocations are dealt with.
        revision: another one after each change.
    """

    active_at: float
    running: int = 0
    updated_at: float = 0.0
    before: Deployment | None = None
    dead_letter: str = ""
    configs: dict[str, InvokeConfig] = field(default_factory=dict)
    revision: str = field(default_factory=lambda: str(uuid.uuid4()))


class SandboxFunction(LambdaFunction):
    """moto's function, one version of it."""

    def __init__(self, account: str, spec: dict[str, Any], region: str, world: World) -> None:
        require_supported(spec)
        super().__init__(account, spec, region, LATEST)
        require_zip(self.code_bytes)
        self._speed, self._endpoint = world.speed, world.endpoint
        self.life = Life(time.monotonic() + world.scaled(delays.CREATION_SECONDS))
        self.life.dead_letter = spec.get("DeadLetterConfig", {}).get("TargetArn", "")

    @property
    def root_arn(self) -> str:
        """The function's ARN without a version."""
        return ":".join(self.function_arn.split(":")[:7])

    @property
    def active(self) -> bool:
        """Whether it can be invoked."""
        return time.monotonic() >= self.life.active_at

    @property
    def updating(self) -> bool:
        """Whether an update is in progress."""
        return time.monotonic() < self.life.updated_at

    def begin_update(self) -> None:
        """What it is now it stays until the update is through.

        Raises:
            ResourceConflictException: one is in progress, or it is not there yet.
        """
        if self.updating or not self.active:
            raise ResourceConflictException(
                f"The operation cannot be performed at this time. An update is in progress for resource: "
                f"{self.function_arn}"
            )
        self.life.before = self._deployment()
        self.life.updated_at = time.monotonic() + delays.UPDATE_SECONDS / self._speed
        self.life.revision = str(uuid.uuid4())

    def deployment(self) -> Deployment:
        """What is run now."""
        if self.updating and self.life.before is not None and self.version == LATEST:
            return self.life.before
        return self._deployment()

    def _deployment(self) -> Deployment:
        return Deployment(
            name=self.function_name,
            arn=self.function_arn,
            version=str(self.version),
            handler=self.handler or "",
            runtime=self.run_time or "",
            seconds=float(self.timeout),
            mebibytes=int(self.memory_size),
            variables=dict(self.environment_vars),
            code=self.code_bytes,
            digest=self.code_digest,
            group=self.logs_group_name,
        )

    @override
    def invoke(self, body: str, request_headers: Any, response_headers: Any) -> str:
        """What moto's services call, such as S3; asynchronously, and by the function's policy."""
        backend: Any = lambda_backends[self.account_id][self.region]
        backend.notify(self, body)
        return ""

    @override
    def get_configuration(self, on_create: bool = False) -> dict[str, Any]:
        """As the API answers it; with no member that is not there."""
        shown = super().get_configuration(on_create)
        shown |= {
            "RevisionId": self.life.revision,
            "LoggingConfig": {"LogFormat": "Text", "LogGroup": self.logs_group_name},
            "DeadLetterConfig": {"TargetArn": self.life.dead_letter} if self.life.dead_letter else None,
        }
        if not self.active:
            shown |= {
                "State": "Pending",
                "StateReason": "The function is being created.",
                "StateReasonCode": "Creating",
                "LastUpdateStatus": "InProgress",
                "LastUpdateStatusReason": "The function is being created.",
                "LastUpdateStatusReasonCode": "Creating",
            }
        elif self.updating:
            shown |= {
                "LastUpdateStatus": "InProgress",
                "LastUpdateStatusReason": "The function is being updated.",
                "LastUpdateStatusReasonCode": "Updating",
            }
        return {key: value for key, value in shown.items() if value is not None}

    @override
    def get_code(self) -> dict[str, Any]:
        """GetFunction's answer: the code can be fetched where it says, as with AWS's presigned URL. A reserved
        concurrency of 0 is one (moto leaves it out)."""
        shown = super().get_code()
        scope = f"sandbox/{datetime.now(UTC):%Y%m%d}/{self.region}/lambda/aws4_request"
        path = f"{SNAPSHOTS}{self.region}/{self.function_name}/{self.version}"
        shown["Code"] = {"RepositoryType": "S3", "Location": f"{self._endpoint}{path}?X-Amz-Credential={scope}"}
        if self.reserved_concurrency is not None:
            shown["Concurrency"] = {"ReservedConcurrentExecutions": self.reserved_concurrency}
        return shown

    @override
    def update_configuration(self, config_updates: dict[str, Any]) -> dict[str, Any]:
        """UpdateFunctionConfiguration."""
        require_supported(config_updates)
        if unknown := config_updates.keys() - UPDATED:
            raise NotImplementedError(f"UpdateFunctionConfiguration with {', '.join(sorted(unknown))}")
        self.begin_update()
        wanted = dict(config_updates)
        if "DeadLetterConfig" in wanted:
            self.life.dead_letter = wanted["DeadLetterConfig"].get("TargetArn", "")
        if "Environment" in wanted:
            wanted["Environment"] = {"Variables": {}, **wanted["Environment"]}
        self.tracing_config = wanted.get("TracingConfig", self.tracing_config)
        self.ephemeral_storage = wanted.get("EphemeralStorage", {}).get("Size", self.ephemeral_storage)
        self.kms_key_arn = wanted.get("KMSKeyArn", self.kms_key_arn)
        return super().update_configuration(wanted)


def require_supported(spec: Mapping[str, Any]) -> None:
    """Refuse what would not be acted out.

    Raises:
        NotImplementedError: naming it; answered 501.
    """
    if spec.get("PackageType", "Zip") != "Zip":
        raise NotImplementedError("functions that are images")
    runtime = spec.get("Runtime")
    if runtime is not None and not runtime.startswith(RUNTIME):
        raise NotImplementedError(f"the runtime {runtime}")
    found = [name for name in UNSUPPORTED if spec.get(name)]
    if found:
        raise NotImplementedError(f"functions with {', '.join(found)}")


def require_zip(code: bytes) -> None:
    """Refuse code that cannot be unzipped.

    Raises:
        InvalidParameterValueException: in Lambda's words.
    """
    if not zipfile.is_zipfile(io.BytesIO(code)):
        raise InvalidParameterValueException(
            "Could not unzip uploaded file. Please check your file, then try to upload again."
        )
