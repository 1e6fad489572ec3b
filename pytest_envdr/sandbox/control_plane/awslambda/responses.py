"""The API's face: parameters in, descriptions out. All but Invoke is answered under the lock, so it sees one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote
from uuid import uuid4

from moto.awslambda.models import lambda_backends
from moto.awslambda.responses import LambdaResponse
from moto.core.responses import ActionResult, EmptyResult

from pytest_envdr.sandbox.control_plane.awslambda import concurrency
from pytest_envdr.sandbox.control_plane.awslambda.errors import (
    InvalidParameterValueException,
    ResourceConflictException,
)
from pytest_envdr.sandbox.control_plane.awslambda.execution import Execution
from pytest_envdr.sandbox.control_plane.awslambda.function import LATEST, SNAPSHOTS
from pytest_envdr.sandbox.control_plane.extension import backend_lock

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_plane.awslambda.backend import SandboxLambda

MOST_RETRIES, LEAST_AGE, MOST_AGE = 2, 60, 21_600
TOTAL_CODE_BYTES, UNZIPPED_CODE_BYTES, ZIPPED_CODE_BYTES = 80_530_636_800, 262_144_000, 52_428_800
"""Lambda's quotas for code: all functions together, one unzipped, one uploaded directly."""

REQUEST_ID = "x-amzn-requestid"

Answer = tuple[int, dict[str, str], bytes]


class SandboxLambdaResponse(LambdaResponse):
    """moto's responses, and those that our state answers."""

    def __init__(self) -> None:
        super().__init__()
        self.automated_parameter_parsing = True
        self._request = str(uuid4())

    @property
    def sandbox(self) -> SandboxLambda:
        """The backend of the caller's account and Region."""
        return cast("SandboxLambda", lambda_backends[self.current_account][self.region])

    def call_action(self) -> Any:
        """Answer, alone; but who invokes a function waits for it, and nobody else does."""
        if self._get_action() not in {"Invoke", "InvokeAsync"}:
            with backend_lock:
                return self._snapshot() if self.path.startswith(SNAPSHOTS) else super().call_action()
        status, headers, body = super().call_action()
        # The request's id is the function's to see, too; moto gives each answer one of its own.
        return status, {**headers, REQUEST_ID: self._request}, body

    def _snapshot(self) -> Answer:
        """A function's code, from the URL that GetFunction gave."""
        region, name, version = unquote(self.path).removeprefix(SNAPSHOTS).split("/")
        functions = cast("SandboxLambda", lambda_backends[self.current_account][region])
        return 200, {"content-type": "application/zip"}, functions.function(name, version).code_bytes

    def invoke(self) -> Answer:
        """Invoke."""
        given = self._given()
        kind = given.get("InvocationType", "RequestResponse")
        payload = self._payload()
        name, qualifier = given["FunctionName"], given.get("Qualifier")
        headers = {"content-type": "application/json"}
        if kind == "DryRun":
            self.sandbox.function(name, qualifier)
            return 204, {**headers, "status": "204"}, b""
        if kind == "Event":
            self.sandbox.accept(name, payload, qualifier, self._request)
            return 202, {**headers, "status": "202"}, b""
        function = self.sandbox.admit(name, qualifier, payload)
        try:
            execution = Execution(
                self.sandbox.here,
                function.deployment(),
                payload,
                self._request,
                self.sandbox.stopping,
            )
            outcome = execution.run()
        finally:
            self.sandbox.release(function)
        headers["x-amz-executed-version"] = str(function.version)
        if outcome.error:
            headers["x-amz-function-error"] = outcome.error
        if given.get("LogType") == "Tail":
            headers["x-amz-log-result"] = outcome.tail
        return 200, headers, outcome.payload.encode()

    def invoke_async(self) -> Answer:
        """InvokeAsync, which Invoke with the type Event has replaced."""
        self.sandbox.accept(self._given()["FunctionName"], self._payload(), request_id=self._request)
        return 202, {"status": "202"}, b""

    def create_function(self) -> ActionResult:  # type: ignore[override]
        """CreateFunction."""
        name = self.json_body["FunctionName"].rsplit(":", 1)[-1]
        if any(each.function_name == name for each in self.sandbox.functions):
            raise ResourceConflictException(f"Function already exist: {name}")
        return ActionResult(self.sandbox.create_function(self.json_body).get_configuration())

    def update_function_code(self) -> ActionResult:  # type: ignore[override]
        """UpdateFunctionCode."""
        return ActionResult(self.sandbox.replace_code(self._given()["FunctionName"], self.json_body))

    def update_function_configuration(self) -> ActionResult:  # type: ignore[override]
        """UpdateFunctionConfiguration."""
        function = self.sandbox.function(self._given()["FunctionName"])
        return ActionResult(function.update_configuration(self.json_body))

    def get_account_settings(self) -> ActionResult:
        """GetAccountSettings."""
        functions = self.sandbox.functions
        limit = {
            "TotalCodeSize": TOTAL_CODE_BYTES,
            "CodeSizeUnzipped": UNZIPPED_CODE_BYTES,
            "CodeSizeZipped": ZIPPED_CODE_BYTES,
            "ConcurrentExecutions": concurrency.TOTAL,
            "UnreservedConcurrentExecutions": concurrency.unreserved(functions),
        }
        usage = {"TotalCodeSize": sum(each.code_size for each in functions), "FunctionCount": len(functions)}
        return ActionResult({"AccountLimit": limit, "AccountUsage": usage})

    def put_function_concurrency(self) -> ActionResult:  # type: ignore[override]
        """PutFunctionConcurrency."""
        given = self._given()
        reserved = self.sandbox.reserve(given["FunctionName"], given["ReservedConcurrentExecutions"])
        return ActionResult({"ReservedConcurrentExecutions": reserved})

    def get_function_concurrency(self) -> ActionResult:  # type: ignore[override]
        """GetFunctionConcurrency: nothing where nothing is reserved, which is not 0."""
        reserved = self.sandbox.function(self._given()["FunctionName"]).reserved_concurrency
        return ActionResult({} if reserved is None else {"ReservedConcurrentExecutions": reserved})

    def put_function_event_invoke_config(self) -> ActionResult:
        """PutFunctionEventInvokeConfig."""
        return self._configured(anew=True)

    def update_function_event_invoke_config(self) -> ActionResult:  # type: ignore[override]
        """UpdateFunctionEventInvokeConfig."""
        return self._configured(anew=False)

    def get_function_event_invoke_config(self) -> ActionResult:
        """GetFunctionEventInvokeConfig."""
        given = self._given()
        config = self.sandbox.config(given["FunctionName"], given.get("Qualifier"))
        return ActionResult(config.shown(self._arn(given)))

    def delete_function_event_invoke_config(self) -> EmptyResult:  # type: ignore[override]
        """DeleteFunctionEventInvokeConfig."""
        given = self._given()
        self.sandbox.config(given["FunctionName"], given.get("Qualifier"))
        del self.sandbox.function(given["FunctionName"]).life.configs[given.get("Qualifier") or LATEST]
        return EmptyResult()

    def list_function_event_invoke_configs(self) -> ActionResult:  # type: ignore[override]
        """ListFunctionEventInvokeConfigs."""
        function = self.sandbox.function(self._given()["FunctionName"])
        rows = [config.shown(f"{function.root_arn}:{qualifier}") for qualifier, config in function.life.configs.items()]
        return ActionResult({"FunctionEventInvokeConfigs": rows})

    def create_function_url_config(self) -> Any:
        """CreateFunctionUrlConfig: nothing would answer there."""
        raise NotImplementedError("function URLs")

    def _configured(self, *, anew: bool) -> ActionResult:
        given = self._given()
        _require_within("maximumRetryAttempts", given.get("MaximumRetryAttempts"), 0, MOST_RETRIES)
        _require_within("maximumEventAgeInSeconds", given.get("MaximumEventAgeInSeconds"), LEAST_AGE, MOST_AGE)
        config = self.sandbox.configure(given["FunctionName"], given.get("Qualifier"), given, anew=anew)
        return ActionResult(config.shown(self._arn(given)))

    def _arn(self, given: dict[str, Any]) -> str:
        function = self.sandbox.function(given["FunctionName"])
        return f"{function.root_arn}:{given.get('Qualifier') or LATEST}"

    def _payload(self) -> str:
        body = self.body
        return (body.decode() if isinstance(body, bytes) else str(body)) or "{}"

    def _given(self) -> dict[str, Any]:
        return {name: value for name, value in self._get_params().items() if value is not None}


def _require_within(name: str, value: int | None, least: int, most: int) -> None:
    if value is not None and not least <= value <= most:
        raise InvalidParameterValueException(
            f"1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: Member must have "
            f"value between {least} and {most}"
        )
