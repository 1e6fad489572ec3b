"""AWS as the drills reach it: where it goes, what is told of it, what an error says, and who may change anything."""

from __future__ import annotations

import ast
import socket
import threading
from datetime import UTC, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pytest_envdr.aws
from pytest_envdr.aws import Aws, Call, ecs, sns, sts
from pytest_envdr.errors import AwsError, NotCleared, NotFound, UsageError
from pytest_envdr.guard import mutating
from pytest_envdr.timeline import Clock
from tests import account

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULES = sorted(Path(pytest_envdr.aws.__file__).parent.glob("*.py"))


@pytest.fixture
def calls() -> list[Call]:
    """What was told."""
    return []


@pytest.fixture
def aws(calls: list[Call]) -> Aws:
    """The account, without a journal: nothing may be changed."""
    return Aws(account.stack(), on_call=calls.append)


@pytest.fixture
def closed_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def scripted() -> Iterator[str]:
    """An endpoint that answers every request with 400, a code of its own and a fidelity header."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            body = b'{"__type": "AccessDeniedException", "message": "not you"}'
            self.send_response(400)
            self.send_header("content-length", str(len(body)))
            self.send_header("x-envdr-fidelity", "acted")
            self.send_header("x-amzn-requestid", "r-1")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_every_call_is_told(aws: Aws, calls: list[Call]) -> None:
    """Service, operation, AWS's request id, status and the instant, on the exercise's clock."""
    sts.identity(aws)
    (call,) = calls
    assert (call.service, call.operation, call.status, call.error, call.fidelity) == (
        "sts",
        "GetCallerIdentity",
        200,
        None,
        None,
    )
    assert call.request_id
    assert call.at.tzinfo is UTC
    assert call.retries == 0


def test_a_call_stands_on_the_exercises_clock() -> None:
    """The instant of a call and its monotonic reading are the same on the clock that was given."""
    calls: list[Call] = []
    clock = Clock()
    sts.identity(Aws(account.stack(), on_call=calls.append, clock=clock))
    assert abs(clock.at(calls[0].clock) - calls[0].at) < timedelta(milliseconds=1)


def test_a_refused_call_is_told_with_its_fidelity(scripted: str, calls: list[Call]) -> None:
    """AWS's code is told and stands in the error; what a sandbox says of itself is kept."""
    aws = Aws(account.stack(endpoint=scripted), on_call=calls.append)
    with pytest.raises(
        AwsError, match=r"Service api of cluster c cannot be read.*AccessDeniedException: not you"
    ) as caught:
        ecs.service(aws, "api", "c")
    assert caught.value.code == "AccessDeniedException"
    (call,) = calls
    assert (call.status, call.error, call.fidelity, call.request_id) == (400, "AccessDeniedException", "acted", "r-1")


def test_an_unreachable_endpoint_is_one_line(closed_port: int) -> None:
    """Nobody listens: at once one line that names endpoint, stack file and what to do."""
    endpoint = f"http://127.0.0.1:{closed_port}"
    with pytest.raises(UsageError) as caught:
        Aws(account.stack(endpoint=endpoint)).check_reachable()
    assert "\n" not in str(caught.value)
    for part in (endpoint, "stack.toml: endpoint", "Connection refused", "To go on"):
        assert part in str(caught.value)


def test_a_reachable_endpoint_is_not_refused(aws: Aws) -> None:
    """Somebody listens: nothing is said."""
    aws.check_reachable()


def test_the_environment_sends_nobody_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a proxy, nor an endpoint, a Region or a profile of the environment counts against the stack file."""
    for name in ("HTTP_PROXY", "http_proxy", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"):
        monkeypatch.setenv(name, "http://192.0.2.99:1")
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    aws = Aws(account.stack())
    assert sts.account(aws) == account.ACCOUNT
    assert aws.client("sts").meta.region_name == account.REGION


def test_missing_credentials_and_profiles_are_the_users_mistake(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No credentials anywhere, or a profile that is not there: one message that names the stack file's keys."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(UsageError, match=r"(?s)there are no credentials.*stack.toml: credentials, profile"):
        sts.identity(Aws(account.stack(credentials=None)))
    with pytest.raises(UsageError, match=r"(?s)zip.*stack.toml: profile"):
        Aws(account.stack(credentials=None, profile="zip"))


def test_nothing_is_made_for_an_endpoint_that_is_not_cleared() -> None:
    """AWS itself is refused before there is a client."""
    with pytest.raises(NotCleared, match="clearance for accounts is not built yet"):
        Aws(account.stack(endpoint=None))


def test_a_wrong_argument_is_an_error_of_ours(aws: Aws) -> None:
    """What botocore refuses to send is not a bare traceback of botocore's."""
    with pytest.raises(AwsError, match=r"it: ecs.DescribeServices could not be made"):
        aws.call("ecs.DescribeServices", what="it", nonsense=1)


def test_a_name_is_followed_to_the_stack_file(aws: Aws) -> None:
    """What AWS does not know is named with the key that it came from."""
    assert aws.origin("prod-api") == "services.api.name in stack.toml"
    assert aws.origin(account.CLUSTER) == "services.api.cluster in stack.toml"
    assert aws.origin("prod-api-5xx") == "services.api.alarms in stack.toml"
    assert aws.origin(account.TOPIC) == "notifications.topic in stack.toml"
    assert aws.origin("other") == "not the stack file"


def test_an_unknown_service_is_named_with_its_cluster_and_origin(aws: Aws) -> None:
    """A service that ECS does not know: its name, its cluster, and the keys that they came from."""
    account.ecs_service()
    with pytest.raises(NotFound) as caught:
        ecs.service(aws, "prod-api", account.CLUSTER)
    for part in ("prod-api", account.CLUSTER, "services.api.name in stack.toml", account.ACCOUNT, account.REGION):
        assert part in str(caught.value)


def test_an_unknown_cluster_is_named(aws: Aws) -> None:
    """A cluster that ECS does not know is another message than a missing service."""
    with pytest.raises(NotFound, match="no cluster nowhere, where service prod-api should be"):
        ecs.service(aws, "prod-api", "nowhere")


def test_an_unknown_topic_is_named_with_its_origin() -> None:
    """A topic that SNS does not know is named with its key."""
    with pytest.raises(NotFound, match=r"notifications\.topic in stack\.toml"):
        sns.subscriptions(Aws(account.stack(notifications={"topic": f"{account.TOPIC}-none"})), f"{account.TOPIC}-none")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_the_signature_shows_the_side_effect(module: Path) -> None:
    """A function that acts takes `journal`, one that takes none only reads."""
    for function in ast.parse(module.read_text()).body:
        if not isinstance(function, ast.FunctionDef):
            continue
        arguments = [argument.arg for argument in function.args.args]
        called = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
        names = [node.func.attr for node in called if isinstance(node.func, ast.Attribute)]
        assert "act" not in names or "journal" in arguments, f"{function.name} acts without a journal"
        # What a private function calls, its caller has intended: the guard refuses it else.
        intended = "journal" in arguments or function.name.startswith("_")
        assert intended or not any(map(mutating, operations(called))), f"{function.name} changes AWS past the journal"


def operations(called: list[ast.Call]) -> list[str]:
    """The operations that are called by name."""
    return [
        str(node.args[0].value)
        for node in called
        if isinstance(node.func, ast.Attribute)
        and node.func.attr in {"call", "pages"}
        and node.args
        and isinstance(node.args[0], ast.Constant)
    ]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_functions_are_short(module: Path) -> None:
    """None is longer than 45 lines, its docstring aside."""
    for function in ast.walk(ast.parse(module.read_text())):
        if isinstance(function, ast.FunctionDef):
            begin = function.body[0].end_lineno if ast.get_docstring(function) else function.lineno
            assert (function.end_lineno or 0) - (begin or 0) <= 45, f"{function.name} is too long"


def test_the_services_know_nothing_of_one_another() -> None:
    """No module of `aws` imports another service's: only the package, what tells of its calls, and its own siblings."""
    for module in MODULES:
        imports = [node for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.ImportFrom)]
        others = {node.module for node in imports if (node.module or "").startswith("pytest_envdr.aws.")}
        service = module.stem.partition("_")[0]
        strange = {name for name in others if name and name.rpartition(".")[2].partition("_")[0] != service}
        assert strange <= {"pytest_envdr.aws.recorder"}
