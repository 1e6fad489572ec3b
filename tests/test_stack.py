"""The stack file: read whole, or refused with the place and the remedy."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from pytest_envdr import stack
from pytest_envdr.errors import StackFileError, UsageError
from pytest_envdr.stack import HeartbeatProbe, HttpProbe, JobProbe, WebSocketProbe

TEXT = """
name = "prod"
kind = "aws"
account = "123456789012"
region = "eu-west-1"

[services.api]
name = "envelope-prod-api"
cluster = "envelope-prod-cluster"
probe = { url = "https://example.org" }
alarms = ["envelope-prod-api-5xx"]

[notifications]
topic = "arn:aws:sns:eu-west-1:123456789012:alarms"

[objectives.ecs_failover]
rto_seconds = 30

[approvals.ecs_failover]
by = "ann"
until = 2026-12-31
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A complete stack file."""
    path = tmp_path / "stack.toml"
    path.write_text(TEXT)
    return path


def test_a_stack_file_is_read(path: Path) -> None:
    """Every table comes as a typed value, with defaults where it says nothing, and knows where it was read."""
    found = stack.read(path)
    assert (found.path, found.endpoint, found.speed, found.profile) == (path, None, 1, None)
    assert found.services["api"].probe == HttpProbe(url="https://example.org", kind="http", host=None, path="/dr/probe")
    assert found.objectives["ecs_failover"].rto_seconds == 30
    assert found.objectives["ecs_failover"].rpo_seconds is None
    assert found.approvals["ecs_failover"].until == date(2026, 12, 31)
    assert {word: service.name for word, service in found.services.items()} == {"api": "envelope-prod-api"}


@pytest.mark.parametrize(
    ("probe", "kind", "place"),
    [
        ('{ url = "u" }', HttpProbe, "/dr/probe"),
        ('{ kind = "websocket", url = "u" }', WebSocketProbe, "/app/envelope"),
        ('{ kind = "job", url = "u" }', JobProbe, "/dr/jobs"),
        ('{ kind = "heartbeat", url = "u", path = "/beat" }', HeartbeatProbe, "/beat"),
    ],
)
def test_the_probes(path: Path, probe: str, kind: type, place: str) -> None:
    """Four kinds of questions, each with its own default path; without a kind it is HTTP."""
    path.write_text(TEXT.replace('{ url = "https://example.org" }', probe))
    found = stack.read(path).services["api"].probe
    assert type(found) is kind
    assert found.path == place


@pytest.mark.parametrize(
    ("old", "new", "key", "why"),
    [
        ('name = "prod"\n', "", "name", "Field required"),
        ('kind = "aws"', 'kind = "azure"', "kind", "'sandbox' or 'aws'"),
        ("123456789012", "12", "account", "pattern"),
        ('region = "eu-west-1"', "region = 1", "region", "valid string"),
        ('region = "eu-west-1"', 'region = "eu-west-1"\nregoin = "x"', "regoin", "Extra inputs"),
        ('cluster = "envelope-prod-cluster"', "", "services.api.cluster", "Field required"),
        (
            '{ url = "https://example.org" }',
            '{ kind = "ping", url = "u" }',
            "services.api.probe",
            "'http', 'job'",
        ),
        ('{ url = "https://example.org" }', "{ }", "services.api.probe.http.url", "Field required"),
        ('{ url = "https://example.org" }', "1", "services.api.probe", "a table is needed"),
        ("rto_seconds = 30", "rto_seconds = 0", "objectives.ecs_failover.rto_seconds", "greater than 0"),
        ("rto_seconds = 30", "rto = 30", "objectives.ecs_failover.rto", "Extra inputs"),
        ("objectives.ecs_failover", "objectives.ecs_failovr", "objectives", "no such scenario: ecs_failovr"),
        ("approvals.ecs_failover", "approvals.ecs", "approvals", "no such scenario: ecs"),
        ("2026-12-31", '"someday"', "approvals.ecs_failover.until", "date"),
        ("[notifications]", "[notification]", "notifications", "Field required"),
    ],
)
def test_a_wrong_key_is_named_with_its_reason(path: Path, old: str, new: str, key: str, why: str) -> None:
    """A missing, unknown or wrong key: one message with file, key, reason and remedy; a usage error."""
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(StackFileError) as caught:
        stack.read(path)
    assert isinstance(caught.value, UsageError)
    for part in (f"  {key}", why, str(path), "envdr sandbox --stack-file"):
        assert part in str(caught.value)


def test_a_stack_without_services_is_refused(path: Path) -> None:
    """There must be something to exercise."""
    head, _, rest = TEXT.partition("[services.api]")
    path.write_text(f"{head}[services]\n[notifications]{rest.partition('[notifications]')[2]}")
    with pytest.raises(StackFileError, match="services"):
        stack.read(path)


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"name = ", "is not TOML"), (b"\xff\xfe", "is not TOML"), (b'path = "x"', "Field required")],
)
def test_what_is_no_stack_file_is_refused(path: Path, content: bytes, why: str) -> None:
    """No TOML, no text, or TOML of something else: one message with the file."""
    path.write_bytes(content)
    with pytest.raises(StackFileError, match=why) as caught:
        stack.read(path)
    assert str(path) in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A file that is not there, or a directory: the reason and the path."""
    with pytest.raises(StackFileError, match="No such file"):
        stack.read(tmp_path / "none.toml")
    with pytest.raises(StackFileError, match="Is a directory"):
        stack.read(tmp_path)


def test_a_stack_is_frozen(path: Path) -> None:
    """Nobody changes what is under test in the midst of an exercise."""
    with pytest.raises(ValidationError, match="frozen"):
        stack.read(path).region = "elsewhere"


DATA = """
[database]
instance = "envelope-prod-db"
secret = "envelope-prod/db"

[objectives.database_restore]
rto_seconds = 60
rpo_seconds = 40
rpo_seconds_from = { automated = 8640 }
"""


def test_what_only_some_drills_need_may_be_left_out(path: Path) -> None:
    """A drill that needs a table says which ones are missing; one that is there is not asked for."""
    path.write_text(TEXT + DATA)
    found = stack.read(path)
    found.needs("database")
    with pytest.raises(StackFileError, match=r"lacks \[backup\], \[drill_tenant\]") as caught:
        found.needs("backup", "database", "drill_tenant")
    assert str(path) in str(caught.value)


def test_a_recovery_point_objective_may_differ_by_source(path: Path) -> None:
    """What is promised for a source holds for it, and for all others what is promised in general."""
    path.write_text(TEXT + DATA)
    objective = stack.read(path).objectives["database_restore"]
    assert (objective.rpo_of("automated"), objective.rpo_of("point-in-time")) == (8640, 40)


@pytest.mark.parametrize("allowed", ["swapp", "delete"])
def test_only_what_is_known_can_be_allowed(path: Path, allowed: str) -> None:
    """A misspelt permission is refused, not ignored."""
    path.write_text(TEXT + f'allows = ["{allowed}"]\n')
    with pytest.raises(StackFileError, match="allows"):
        stack.read(path)


def test_terraforms_table_knows_its_objects(path: Path) -> None:
    """Where the state, its lock and its digest are follows from bucket, key and workspace."""
    table = '\n[terraform]\ndirectory = "tf"\nbucket = "b"\nkey = "prod/terraform.tfstate"\n'
    path.write_text(TEXT + table)
    found = stack.read(path)
    assert found.terraform is not None
    assert (found.beside("tf"), found.beside("/tf")) == (path.parent / "tf", Path("/tf"))
    assert (found.terraform.object_key, found.terraform.lock) == ("prod/terraform.tfstate", "file")
    other = found.terraform.model_copy(update={"workspace": "dr"})
    assert other.object_key == "env:/dr/prod/terraform.tfstate"
    assert other.lock_key == "env:/dr/prod/terraform.tfstate.tflock"
    assert other.digest_id == "b/env:/dr/prod/terraform.tfstate-md5"


@pytest.mark.parametrize("lock", ['lock = "table"', 'lock_table = "locks"'])
def test_a_lock_table_is_named_and_used(path: Path, lock: str) -> None:
    """A lock by a table needs its name, and a table is for nothing else."""
    path.write_text(TEXT + f'\n[terraform]\ndirectory = "tf"\nbucket = "b"\nkey = "k"\n{lock}\n')
    with pytest.raises(StackFileError, match="lock_table"):
        stack.read(path)


@pytest.mark.parametrize(
    ("setting", "instead"),
    [
        ('key = "other"', "terraform.key instead of backend.key"),
        ('bucket = "other"', "terraform.bucket instead of backend.bucket"),
        ("use_lockfile = true", "terraform.lock instead of backend.use_lockfile"),
        ('dynamodb_table = "locks"', "terraform.lock_table instead of backend.dynamodb_table"),
        ('workspace_key_prefix = "ws"', "terraform.workspace_prefix instead of backend.workspace_key_prefix"),
    ],
)
def test_where_a_state_is_is_said_once(path: Path, setting: str, instead: str) -> None:
    """A backend setting that would hold over where a drill's copy is, or how it is locked, is refused: Terraform would
    be asked about the stack's own state."""
    path.write_text(TEXT + f'\n[terraform]\ndirectory = "tf"\nbucket = "b"\nkey = "k"\nbackend = {{ {setting} }}\n')
    with pytest.raises(StackFileError, match=instead):
        stack.read(path)
