"""Lambda through a plain client: a function is a process that runs what was uploaded."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import signal
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import awslambda, cloudwatch, logs, sqs
from tests.sandbox.control_plane.lambda_rig import BROKEN, ECHO, Rig, zipped
from tests.sandbox.control_plane.served import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

TELLS = """
import os, boto3
def handler(event, context):
    print("asked for", event["key"])
    names = ("GREETING", "AWS_REGION", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "_HANDLER")
    return {
        "environment": {name: os.environ[name] for name in names},
        "queues": len(boto3.client("sqs").list_queues().get("QueueUrls", [])),
        "left": context.get_remaining_time_in_millis(),
        "arn": context.invoked_function_arn,
    }
"""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    services = {"lambda": awslambda, "sqs": sqs, "logs": logs, "cloudwatch": cloudwatch}
    with serving(
        tmp_path_factory.mktemp("lambda"), services, region="eu-south-2", network="127.251.0.0/16", speed=100
    ) as served:
        yield Rig(served)


def invoked(rig: Rig, name: str, event: Any = None, **more: Any) -> tuple[Any, str]:
    """The payload, and the kind of error or ""."""
    answer = rig.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event or {}), **more)
    return json.loads(answer["Payload"].read()), answer.get("FunctionError", "")


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_another_zip_is_another_behaviour(rig: Rig) -> None:
    """What was uploaded is what runs; until an update is through it is still what it was."""
    client, name = rig.client("lambda"), rig.function(ECHO)
    assert invoked(rig, name, {"a": [1, "ü"]}) == ({"a": [1, "ü"]}, "")
    answer = client.update_function_code(FunctionName=name, ZipFile=zipped("def handler(e, c): return 'new'"))
    assert answer["LastUpdateStatus"] == "InProgress"
    client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.1})
    assert invoked(rig, name) == ("new", "")


def test_an_update_in_progress_refuses_the_next_one(rig: Rig) -> None:
    """As on AWS, where who does not wait for the first one gets a conflict."""
    client = rig.client("lambda")
    with rig.at_speed(1):
        name = rig.function()
    client.update_function_configuration(FunctionName=name, Timeout=5)
    with pytest.raises(ClientError) as refused:
        client.update_function_configuration(FunctionName=name, Timeout=6)
    assert code(refused) == "ResourceConflictException"


def test_what_is_no_zip_is_refused(rig: Rig) -> None:
    """And the function stays what it was."""
    name = rig.function()
    with pytest.raises(ClientError) as refused:
        rig.client("lambda").update_function_code(FunctionName=name, ZipFile=b"no zip")
    assert code(refused) == "InvalidParameterValueException"
    assert invoked(rig, name, {"still": "here"}) == ({"still": "here"}, "")


def test_a_function_has_its_environment_and_calls_aws(rig: Rig) -> None:
    """Its own variables, those of Lambda's runtime, an API to call, the time that is left, and a log."""
    name = rig.function(TELLS, Environment={"Variables": {"GREETING": "hello"}}, MemorySize=200, Timeout=20)
    rig.queue()
    told, error = invoked(rig, name, {"key": "value"})
    assert error == ""
    assert told["environment"] == {
        "GREETING": "hello",
        "AWS_REGION": "eu-south-2",
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "200",
        "_HANDLER": "function.handler",
    }
    assert told["queues"] >= 1
    assert 0 < told["left"] <= 20_000
    assert told["arn"] == rig.function_arn(name)
    start, printed, end, report = rig.lines(name)
    assert start.startswith("START RequestId: ")
    assert printed == "asked for value"
    assert end.startswith("END RequestId: ")
    assert report.startswith("REPORT RequestId: ")
    assert "Memory Size: 200 MB" in report


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        (BROKEN, "ValueError", "no bucket today"),
        ("import no_such_thing", "Runtime.ImportModuleError", "No module named 'no_such_thing'"),
        ("def handler(:", "Runtime.UserCodeSyntaxError", "Syntax error"),
        ("other = 1", "Runtime.HandlerNotFound", "Handler 'handler' missing"),
        ("import sys\ndef handler(e, c): sys.exit(3)", "Runtime.ExitError", "exit status 3"),
        ("import time\ndef handler(e, c): time.sleep(60)", "Sandbox.Timedout", "Task timed out after 1.00 seconds"),
        ("def handler(e, c): return len(bytearray(300 << 20))", "Runtime.ExitError", "signal: killed"),
        ("def handler(e, c): return object()", "Runtime.MarshalError", "Unable to marshal response"),
    ],
)
def test_a_function_that_fails_says_why(rig: Rig, source: str, kind: str, message: str) -> None:
    """The answer is 200 all the same, with a FunctionError; time and memory are what the function has."""
    payload, error = invoked(rig, rig.function(source, Timeout=1, MemorySize=128))
    assert error == "Unhandled"
    assert payload["errorType"] == kind
    assert message in payload["errorMessage"]


def test_the_tail_of_the_log_comes_with_the_answer(rig: Rig) -> None:
    """Where it is asked for."""
    name = rig.function("def handler(e, c): print('x' * 9000); print('the end')")
    answer = rig.client("lambda").invoke(FunctionName=name, LogType="Tail")
    tail = base64.b64decode(answer["LogResult"])
    assert len(tail) == 4096
    assert b"the end\n" in tail
    assert "LogResult" not in rig.client("lambda").invoke(FunctionName=name)


def test_executions_are_counted(rig: Rig) -> None:
    """Each is one of Invocations, a failed one of Errors as well, and both have a Duration."""
    good, bad = rig.function(), rig.function(BROKEN)
    invoked(rig, good), invoked(rig, bad)
    assert [rig.metric(good, name) for name in ("Invocations", "Errors", "Throttles")] == [1, 0, 0]
    assert [rig.metric(bad, name) for name in ("Invocations", "Errors", "Throttles")] == [1, 1, 0]
    assert rig.metric(good, "Duration") > 0


def test_a_reserved_concurrency_of_0_refuses_calls(rig: Rig) -> None:
    """A synchronous call is throttled, which is counted; without the reservation it runs again."""
    client, name = rig.client("lambda"), rig.function()
    assert "ReservedConcurrentExecutions" not in client.get_function_concurrency(FunctionName=name)
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    assert client.get_function_concurrency(FunctionName=name)["ReservedConcurrentExecutions"] == 0
    assert client.get_function(FunctionName=name)["Concurrency"] == {"ReservedConcurrentExecutions": 0}
    with pytest.raises(ClientError) as refused:
        client.invoke(FunctionName=name)
    assert code(refused) == "TooManyRequestsException"
    assert dict(refused.value.response)["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert [rig.metric(name, each) for each in ("Invocations", "Throttles")] == [0, 1]
    client.delete_function_concurrency(FunctionName=name)
    assert "ReservedConcurrentExecutions" not in client.get_function_concurrency(FunctionName=name)
    assert invoked(rig, name, {"on": "again"}) == ({"on": "again"}, "")


def test_reservations_leave_100_unreserved(rig: Rig) -> None:
    """Of an account's 1000; what is left is told by the account's settings."""
    client, name = rig.client("lambda"), rig.function()
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=900)
    assert client.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"] == 100
    with pytest.raises(ClientError) as refused:
        client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=901)
    assert code(refused) == "InvalidParameterValueException"
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=900)
    client.delete_function(FunctionName=name)
    assert client.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"] == 1000


def test_how_asynchronous_events_are_dealt_with_is_kept(rig: Rig) -> None:
    """Put says all anew, update changes what it names, and without any of it there is nothing to get."""
    client, name = rig.client("lambda"), rig.function()
    with pytest.raises(ClientError) as missing:
        client.get_function_event_invoke_config(FunctionName=name)
    assert code(missing) == "ResourceNotFoundException"
    client.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
    changed = client.update_function_event_invoke_config(FunctionName=name, MaximumEventAgeInSeconds=90)
    assert (changed["MaximumRetryAttempts"], changed["MaximumEventAgeInSeconds"]) == (0, 90)
    assert changed["FunctionArn"] == f"{rig.function_arn(name)}:$LATEST"
    client.put_function_event_invoke_config(FunctionName=name, MaximumEventAgeInSeconds=70)
    kept = client.get_function_event_invoke_config(FunctionName=name)
    assert "MaximumRetryAttempts" not in kept
    assert kept["MaximumEventAgeInSeconds"] == 70
    client.delete_function_event_invoke_config(FunctionName=name)
    with pytest.raises(ClientError) as gone:
        client.get_function_event_invoke_config(FunctionName=name)
    assert code(gone) == "ResourceNotFoundException"


def test_what_is_not_acted_out_is_not_taken(rig: Rig) -> None:
    """Another runtime is answered with a clean 501."""
    code_ = {"ZipFile": zipped(ECHO)}
    with pytest.raises(ClientError) as refused:
        rig.client("lambda").create_function(
            FunctionName="node", Runtime="nodejs22.x", Handler="index.handler", Role=rig.role, Code=code_
        )
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_a_frozen_function_does_not_answer(rig: Rig) -> None:
    """What stands behind an answer is a real process: stopped, it has nothing to say, and its time runs out."""
    name = rig.function("import os, time\ndef handler(e, c): print('pid', os.getpid()); time.sleep(2)", Timeout=4)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(invoked, rig, name)
        os.kill(rig.pid(name), signal.SIGSTOP)
        payload, error = answer.result()
    assert (error, payload["errorType"]) == ("Unhandled", "Sandbox.Timedout")


def test_a_statement_has_a_name_of_its_own(rig: Rig) -> None:
    """A second one of the same name is refused, so that nothing is allowed twice; without any there is no policy."""
    client, name = rig.client("lambda"), rig.function()
    wanted = {"Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com"}
    client.add_permission(FunctionName=name, StatementId="rule", **wanted)
    with pytest.raises(ClientError) as refused:
        client.add_permission(FunctionName=name, StatementId="rule", **wanted)
    assert code(refused) == "ResourceConflictException"
    (statement,) = json.loads(client.get_policy(FunctionName=name)["Policy"])["Statement"]
    assert (statement["Sid"], statement["Resource"]) == ("rule", rig.function_arn(name))
    client.remove_permission(FunctionName=name, StatementId="rule")
    for look in (client.get_policy, lambda **of: client.remove_permission(StatementId="rule", **of)):
        with pytest.raises(ClientError) as gone:
            look(FunctionName=name)
        assert code(gone) == "ResourceNotFoundException"


def test_the_code_that_runs_can_be_fetched(rig: Rig) -> None:
    """Where GetFunction says, as whoever wants to put it back does it, without credentials of their own."""
    name = rig.function(BROKEN)
    answer = rig.client("lambda").get_function(FunctionName=name)
    with urllib.request.urlopen(answer["Code"]["Location"], timeout=60) as fetched:  # noqa: S310 (our own API)
        package = fetched.read()
    assert package == zipped(BROKEN)
    digest = base64.b64encode(hashlib.sha256(package).digest()).decode()
    assert digest == answer["Configuration"]["CodeSha256"]


def test_an_environment_can_be_emptied(rig: Rig) -> None:
    """What an update does not name stays; what the sandbox would only forget is answered 501."""
    client, name = rig.client("lambda"), rig.function(Environment={"Variables": {"A": "1"}}, Description="kept")
    answer = client.update_function_configuration(FunctionName=name, Environment={})
    assert "Environment" not in answer
    assert answer["Description"] == "kept"
    with pytest.raises(ClientError) as refused:
        client.update_function_configuration(FunctionName=name, SnapStart={"ApplyOn": "PublishedVersions"})
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_code_can_come_from_a_bucket(rig: Rig) -> None:
    """As Terraform brings it where packages are large."""
    s3, name = rig.client("s3"), rig.function()
    s3.create_bucket(Bucket="packages", CreateBucketConfiguration={"LocationConstraint": "eu-south-2"})
    s3.upload_fileobj(io.BytesIO(zipped("def handler(e, c): return 'from S3'")), "packages", "function.zip")
    client = rig.client("lambda")
    client.update_function_code(FunctionName=name, S3Bucket="packages", S3Key="function.zip")
    client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.1})
    assert invoked(rig, name) == ("from S3", "")
