"""Lambda: a function, what keeps it from being invoked, and the acts that do so on purpose.

Reserved concurrency is a function's, for all its versions; how asynchronous invocations are dealt with is a version's
or alias's (aws-semantics 8, traps). Without reserved concurrency GetFunctionConcurrency answers nothing at all, which
is not 0: with 0 an asynchronous event is not queued but goes to the dead-letter queue or destination at once, and
nowhere where there is none (aws-semantics 0.1).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_envdr.aws import Act
from pytest_envdr.errors import AwsError, NotFound
from pytest_envdr.journal import Inverse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Journal

LEAST_UNRESERVED = 100
"""How much concurrency an account must leave unreserved (PutFunctionConcurrency)."""
RESTORED = {
    "aws:sourcearn": "SourceArn",
    "aws:sourceaccount": "SourceAccount",
    "aws:principalorgid": "PrincipalOrgID",
    "lambda:eventsourcetoken": "EventSourceToken",
}
"""What a statement's condition is called in AddPermission; the names of conditions have no case."""


@dataclass(frozen=True)
class Function:
    """A function.

    Attributes:
        state: Pending, Active, Inactive or Failed.
        update: how its last update stands: InProgress, Successful or Failed; the function is what it was until then.
        code_sha256: of its zip, base64.
        dead_letters: the ARN of the queue or topic for events that it gave up; "" for none.
        log_group: where it writes.
    """

    name: str
    arn: str
    state: str
    update: str
    handler: str
    runtime: str
    code_sha256: str
    dead_letters: str
    log_group: str

    @property
    def ready(self) -> bool:
        """Whether it is what its configuration says, and runs when it is invoked."""
        return self.state in ("Active", "Inactive") and self.update != "InProgress"


@dataclass(frozen=True)
class AsyncConfig:
    """How a function's asynchronous invocations are dealt with; None and "" for what is AWS's own: two retries, six
    hours, no destination."""

    retries: int | None = None
    age_seconds: int | None = None
    on_failure: str = ""


@dataclass(frozen=True)
class Permission:
    """A statement of a function's policy that lets somebody invoke it; `arguments` are AddPermission's, but for the
    function."""

    sid: str
    principal: str
    source: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Answered:
    """What a function answered; `error` is "Handled" or "Unhandled" where it failed, else ""."""

    status: int
    error: str
    payload: str


def function(aws: Aws, name: str) -> Function:
    """A function.

    Raises:
        NotFound: there is none of that name.
    """
    what = f"Function {name} cannot be read ({aws.origin(name)})"
    row = aws.call("lambda.GetFunctionConfiguration", what=what, FunctionName=name)
    return Function(
        name=row["FunctionName"],
        arn=row["FunctionArn"],
        state=row.get("State", "Active"),
        update=row.get("LastUpdateStatus", "Successful"),
        handler=row.get("Handler", ""),
        runtime=row.get("Runtime", ""),
        code_sha256=row["CodeSha256"],
        dead_letters=row.get("DeadLetterConfig", {}).get("TargetArn", ""),
        log_group=row.get("LoggingConfig", {}).get("LogGroup", "") or f"/aws/lambda/{row['FunctionName']}",
    )


def concurrency(aws: Aws, name: str) -> int | None:
    """What is reserved for a function; None where nothing is, which is not 0.

    Raises:
        NotFound: there is no such function.
    """
    what = f"The reserved concurrency of function {name} cannot be read"
    found = aws.call("lambda.GetFunctionConcurrency", what=what, FunctionName=name).get("ReservedConcurrentExecutions")
    return None if found is None else int(found)


def unreserved(aws: Aws) -> int:
    """How much of the account's concurrency no function has for itself."""
    limits = aws.call("lambda.GetAccountSettings", what="The account's concurrency cannot be read")["AccountLimit"]
    return int(limits["UnreservedConcurrentExecutions"])


def async_config(aws: Aws, name: str) -> AsyncConfig:
    """How a function's asynchronous invocations are dealt with."""
    what = f"The asynchronous invocation of function {name} cannot be read"
    try:
        row = aws.call("lambda.GetFunctionEventInvokeConfig", what=what, FunctionName=name)
    except NotFound:
        return AsyncConfig()
    failed = row.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination", "")
    return AsyncConfig(row.get("MaximumRetryAttempts"), row.get("MaximumEventAgeInSeconds"), failed)


def permissions(aws: Aws, name: str) -> list[Permission]:
    """Who may invoke a function by its own policy; none where it has no policy."""
    try:
        text = aws.call("lambda.GetPolicy", what=f"The policy of function {name} cannot be read", FunctionName=name)
    except NotFound:
        return []
    return [_permission(row) for row in json.loads(text["Policy"]).get("Statement", [])]


def put_concurrency(aws: Aws, journal: Journal, name: str, reserved: int) -> None:
    """Reserve concurrency for a function. Undone, it has exactly what it had: another number, or none.

    Raises:
        AwsError: fewer than 100 would be left unreserved, or AWS refuses it otherwise.
    """
    before = concurrency(aws, name)
    arguments = {"FunctionName": name, "ReservedConcurrentExecutions": reserved}
    act = Act(
        "lambda.PutFunctionConcurrency",
        arguments,
        _reserved(name, before, reserved),
        f"{reserved} of concurrency cannot be reserved for function {name}",
    )
    aws.act(journal, act)


def change_handler(aws: Aws, journal: Journal, there: Function, handler: str) -> None:
    """Let a function begin at another place of its code, which is not there: every invocation of it fails, as with
    broken code, and its code stays as it is.

    Raises:
        AwsError: AWS refuses it, such as while another update is under way.
    """
    arguments = {"FunctionName": there.name, "Handler": handler}
    inverse = Inverse(
        "lambda.UpdateFunctionConfiguration",
        {"FunctionName": there.name, "Handler": there.handler, "set": handler},
        f"handler {there.handler} of function {there.name}",
    )
    what = f"The handler of function {there.name} cannot be changed"
    aws.act(journal, Act("lambda.UpdateFunctionConfiguration", arguments, inverse, what))


def remove_permission(aws: Aws, journal: Journal, name: str, permission: Permission) -> None:
    """Take a statement out of a function's policy. Undone, the same one is in it again.

    Raises:
        AwsError: AWS refuses it.
    """
    inverse = Inverse(
        "lambda.AddPermission",
        {"FunctionName": name, **permission.arguments},
        f"permission {permission.sid} of function {name}, for {permission.principal}",
    )
    arguments = {"FunctionName": name, "StatementId": permission.sid}
    what = f"Permission {permission.sid} cannot be taken from function {name}"
    aws.act(journal, Act("lambda.RemovePermission", arguments, inverse, what))


def invoke(aws: Aws, journal: Journal, name: str, payload: str) -> Answered:
    """Invoke a function, and wait for its answer. What it does is its own: who calls this owes the way back.

    Raises:
        AwsError: it was not run: throttled, for instance.
    """
    # A function that fails answers 200 too: what it says is in the answer.
    arguments = {"FunctionName": name, "InvocationType": "RequestResponse", "Payload": payload}
    inverse = Inverse.healed(f"what function {name} made of it, by who invoked it")
    answer = aws.act(journal, Act("lambda.Invoke", arguments, inverse, f"Function {name} cannot be invoked"))
    text = answer["Payload"].read().decode("utf-8", "replace")
    return Answered(int(answer["StatusCode"]), str(answer.get("FunctionError", "")), text)


def _reserved(name: str, before: int | None, now: int) -> Inverse:
    if before is None:
        where = {"FunctionName": name, "set": now}
        return Inverse("lambda.DeleteFunctionConcurrency", where, f"no reserved concurrency of function {name}")
    return Inverse(
        "lambda.PutFunctionConcurrency",
        {"FunctionName": name, "ReservedConcurrentExecutions": before, "set": now},
        f"reserved concurrency {before} of function {name}",
    )


def _permission(row: Mapping[str, Any]) -> Permission:
    principal = row["Principal"]
    who = principal if isinstance(principal, str) else next(iter(principal.values()))
    conditions = {key.lower(): value for rows in row.get("Condition", {}).values() for key, value in rows.items()}
    unknown = conditions.keys() - RESTORED.keys()
    if unknown:
        raise AwsError(f"Permission {row['Sid']} could not be given again as it is: it asks for {sorted(unknown)}")
    arguments = {
        "StatementId": row["Sid"],
        "Action": row["Action"],
        "Principal": who,
        **{RESTORED[key]: value for key, value in conditions.items()},
    }
    return Permission(row["Sid"], who, str(conditions.get("aws:sourcearn", "")), arguments)
