"""Run one invocation of a function, in a process of its own: started as a script by `execution`, never imported.

    python -I bootstrap.py <directory>

The directory has `invocation.json`, which says what to run. A file `ready` is made when the function's module is there,
and `response.json` when the handler is through; whoever waits for them takes their times. All else that the handler
prints is its log.
"""

from __future__ import annotations

import importlib
import json
import logging
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


ROOT = "/var/task"
"""Where AWS unpacks a function, which is what its errors name."""


class Context:
    """What the handler is given beside the event."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.aws_request_id = told["request_id"]
        self.function_name = told["name"]
        self.function_version = told["version"]
        self.invoked_function_arn = told["arn"]
        self.memory_limit_in_mb = str(told["mebibytes"])
        self.log_group_name = told["group"]
        self.log_stream_name = told["stream"]
        self.client_context = None
        self.identity = None
        self._end = time.monotonic() + told["seconds"]

    def get_remaining_time_in_millis(self) -> int:
        """Until the function's time is up."""
        return max(0, int(1000 * (self._end - time.monotonic())))


class Refusal(Exception):
    """The function cannot even be called."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def main(directory: Path) -> None:
    """Load the function, call it, and say what came of it."""
    told = json.loads((directory / "invocation.json").read_text())
    sys.path.insert(0, told["root"])
    _log_to_output(told["request_id"])
    try:
        handler = _handler(told["handler"])
        (directory / "ready").touch()
        answer: dict[str, Any] = {"value": _encoded(handler(told["event"], Context(told)))}
    except Refusal as refusal:
        answer = {"error": _error(told, refusal.kind, str(refusal), [])}
    except Exception as error:
        # The boundary between a function and whoever invokes it: whatever the function raises is its answer.
        trace = [line.replace(told["root"], ROOT) for line in traceback.format_tb(error.__traceback__)[1:]]
        answer = {"error": _error(told, type(error).__name__, str(error), trace)}
    made = directory / "response.part"
    made.write_text(json.dumps(answer))
    made.rename(directory / "response.json")


def _handler(name: str) -> Callable[[Any, Context], Any]:
    module, _, function = name.rpartition(".")
    if not module:
        raise Refusal("Runtime.MalformedHandlerName", f"Bad handler '{name}': not enough values to unpack")
    try:
        found = importlib.import_module(module.replace("/", "."))
    except ImportError as error:
        raise Refusal("Runtime.ImportModuleError", f"Unable to import module '{module}': {error}") from error
    except SyntaxError as error:
        raise Refusal("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module}': {error}") from error
    if not hasattr(found, function):
        raise Refusal("Runtime.HandlerNotFound", f"Handler '{function}' missing on module '{module}'")
    called: Callable[[Any, Context], Any] = getattr(found, function)
    return called


def _encoded(value: Any) -> str:
    try:
        return json.dumps(value)
    except TypeError as error:
        raise Refusal("Runtime.MarshalError", f"Unable to marshal response: {error}") from error


def _error(told: dict[str, Any], kind: str, message: str, trace: list[str]) -> dict[str, Any]:
    """The answer, which is also logged, as one event."""
    lines = [f"[ERROR] {kind}: {message}", *(["Traceback (most recent call last):", *trace] if trace else [])]
    sys.stdout.write("\r".join(line.replace("\n", "\r") for line in lines) + "\n")
    return {"errorMessage": message, "errorType": kind, "requestId": told["request_id"], "stackTrace": trace}


def _log_to_output(request_id: str) -> None:
    form = f"[%(levelname)s]\t%(asctime)s.%(msecs)dZ\t{request_id}\t%(message)s"
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter(form, "%Y-%m-%dT%H:%M:%S"))
    logging.Formatter.converter = time.gmtime
    logging.getLogger().addHandler(handler)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
