"""A Terraform state in a bucket of a sandbox of S3 and DynamoDB, real Terraform, and drills on it as a library runs
them."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_envdr.aws import Aws
from pytest_envdr.drills import Drill, control_plane
from pytest_envdr.journal import Header, Inverse, Journal
from pytest_envdr.sandbox import envelope
from pytest_envdr.sandbox.control_plane import s3
from pytest_envdr.stack import Objective, Stack
from pytest_envdr.terraform import Terraform
from pytest_envdr.timeline import Clock
from tests import account
from tests.sandbox.control_plane.served import ACCOUNT, Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_envdr.drills.control_plane import LostState

PROVIDERS = Path(envelope.__file__).parent / "terraform" / ".terraform.lock.hcl"
"""The AWS provider's version and hashes, as the embedded stack's own modules have them."""
KEY = "prod/terraform.tfstate"
TABLE = "terraform-locks"
OBJECTIVE = Objective(rto_seconds=120, rpo_seconds=0)
PLAIN = """
terraform {
  backend "s3" {}
}

variable "size" {
  type = number
}

resource "terraform_data" "one" {
  count = var.size
  input = "one ${count.index}"
}

output "size" {
  value = var.size
}
"""
"""Resources of Terraform's own, which need no provider: a plan of them takes a tenth of a second."""
_numbers = count(1)


@dataclass
class Ran:
    """A drill, and what its steps came to."""

    drill: Drill
    state: LostState | None = None
    seen: dict[str, Any] = field(default_factory=dict)

    @property
    def lost(self) -> LostState:
        """The state that was lost."""
        assert self.state is not None
        return self.state

    @property
    def failures(self) -> list[str]:
        """The ids of the findings that fail it."""
        return [finding.id for finding in self.drill.failures]

    @property
    def findings(self) -> dict[str, str]:
        """Every finding by its id, in words."""
        return {finding.id: f"{finding.title} ({finding.detail})" for finding in self.drill.findings}

    def told(self, kind: str) -> list[str]:
        """The notes, or the deviations."""
        return [entry.data["text"] for entry in self.drill.entries if entry.kind == kind]

    def table(self, title: str) -> list[list[str]]:
        """The rows of a table that it told."""
        found = [entry.data for entry in self.drill.entries if entry.kind == "table" and entry.data["title"] == title]
        return list(found[-1]["rows"]) if found else []

    def attached(self, name: str) -> str:
        """A file of its evidence."""
        found = [
            entry.data for entry in self.drill.entries if entry.kind == "attachment" and entry.data["name"] == name
        ]
        return str((self.drill._directory / found[-1]["path"]).read_text())


@dataclass
class Rig:
    """S3 and DynamoDB on this machine, and a root module.

    Attributes:
        served: plain clients, for whoever else works there.
        directory: for journals, evidence and modules.
        module: the root module's directory.
    """

    served: Served
    directory: Path
    module: Path

    @property
    def s3(self) -> Any:
        """A client without the guard."""
        return self.served.client("s3")

    @property
    def dynamodb(self) -> Any:
        """A client without the guard."""
        return self.served.client("dynamodb")

    def bucket(self, *, versioned: bool = True) -> str:
        """A new bucket for states."""
        name = f"states-{next(_numbers)}"
        self.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": self.served.world.region})
        if versioned:
            self.s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def replicate(self, source: str, target: str, *, role: str = "replicator", **rule: Any) -> None:
        """Let a bucket be replicated to another from now on, all of it but delete markers, or as the rule says."""
        iam = self.served.client("iam")
        if "replicator" not in {row["RoleName"] for row in iam.list_roles()["Roles"]}:
            trust = json.dumps({"Version": "2012-10-17", "Statement": []})
            iam.create_role(RoleName="replicator", AssumeRolePolicyDocument=trust)
        wanted = {
            "Priority": 1,
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "DeleteMarkerReplication": {"Status": "Disabled"},
            "Destination": {"Bucket": f"arn:aws:s3:::{target}"},
        }
        given = {"Role": f"arn:aws:iam::{ACCOUNT}:role/{role}", "Rules": [wanted | rule]}
        self.s3.put_bucket_replication(Bucket=source, ReplicationConfiguration=given)

    def stack(self, bucket: str, *, allows: tuple[str, ...] = (), lock: str = "file", **changes: Any) -> Stack:
        """The stack file's content."""
        approval = {"by": "a test", "allows": allows}
        terraform = {
            "directory": str(self.module),
            "bucket": bucket,
            "key": KEY,
            "lock": lock,
            **({"lock_table": TABLE} if lock in {"table", "both"} else {}),
        }
        given: dict[str, Any] = {
            "region": self.served.world.region,
            "endpoint": self.served.world.endpoint,
            "approvals": {"control_plane_loss": approval},
            "objectives": {"control_plane_loss": OBJECTIVE},
            "terraform": {**terraform, **changes.pop("terraform", {})},
        }
        return account.stack(**given | changes)

    @contextmanager
    def hands(self, stack: Stack, on_call: Any = None) -> Iterator[tuple[Aws, Journal]]:
        """An account under guard, with a journal of its own."""
        header = Header("ex", ACCOUNT, stack.region, stack.endpoint)
        path = self.directory / f"journal-{next(_numbers)}" / "target.jsonl"
        with Journal.open(path, header) as journal:
            yield Aws(stack, journal, on_call), journal

    def apply(self, stack: Stack, **variables: Any) -> None:
        """Make the stack, and with it a state."""
        with self.hands(stack) as (aws, journal):
            work = self.directory / f"work-{next(_numbers)}"
            terraform = Terraform.of(aws, work, variables=variables)
            terraform.init()
            terraform.apply(journal, terraform.plan(), inverse=Inverse.healed("a test's own"))

    def values(self, size: int, **more: Any) -> Path:
        """A variables file."""
        path = self.directory / f"values-{next(_numbers)}.tfvars.json"
        path.write_text(json.dumps({"size": size, **more}))
        return path

    def founded(self, *, size: int = 2, module: str = "", workspace: str = "default", **how: Any) -> Stack:
        """A stack that was applied twice: its state has an earlier version. `module`: instead of the rig's own."""
        row: dict[str, Any] = {"variables": [str(self.values(size))], "workspace": workspace}
        if module:
            row["directory"] = str(written(self.directory / f"module-{next(_numbers)}", module))
        return self.applied(self.stack(self.bucket(), terraform=row, **how), size=size)

    def founded_on_aws(self, module: str) -> Stack:
        """The same with the real AWS provider; the module's variables are `size`, `endpoint` and `region`."""
        where = {"endpoint": self.served.world.endpoint, "region": self.served.world.region}
        directory = self.directory / f"module-{next(_numbers)}"
        row = {
            "directory": str(written(directory, module, providers=PROVIDERS.read_text())),
            "variables": [str(self.values(2, **where))],
            "providers": "wheel",
        }
        return self.applied(self.stack(self.bucket(), terraform=row), size=2)

    def applied(self, stack: Stack, *, size: int) -> Stack:
        """Twice, the first time smaller."""
        self.apply(stack, size=size - 1)
        self.apply(stack)
        return stack

    def drill(self, objective: Objective = OBJECTIVE) -> Drill:
        """A drill with an objective."""
        directory = self.directory / f"evidence-{next(_numbers)}"
        return Drill(
            "drill", exercise_id="ex", objective=objective, directory=directory, sink=lambda _: None, clock=Clock()
        )

    @contextmanager
    def lost(self, stack: Stack, *, loss: Any = "deleted", on_call: Any = None, **how: Any) -> Iterator[Ran]:
        """The drill up to the loss; on leaving, all is put back."""
        ran = Ran(self.drill())
        with self.hands(stack, on_call) as (aws, journal):
            with control_plane.lost(aws, journal, ran.drill, loss=loss, **how) as state:
                ran.state = state
                yield ran
            assert journal.owed() == []

    def all_of(self, bucket: str) -> dict[str, Any]:
        """All of the bucket's versions and markers, and of the lock table's items: a drill must leave it so."""
        pages = self.s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
        versions = sorted(
            (row["Key"], row["VersionId"], row["IsLatest"], row.get("ETag", "marker"))
            for page in pages
            for row in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            if not row["Key"].endswith(".tflock")
        )
        locks = [
            row["Key"] for row in self.s3.list_objects_v2(Bucket=bucket).get("Contents", []) if "tflock" in row["Key"]
        ]
        items = sorted(json.dumps(row, sort_keys=True) for row in self.dynamodb.scan(TableName=TABLE)["Items"])
        return {"versions": versions, "locks": locks, "items": [item for item in items if f'"{bucket}/' in item]}


def written(directory: Path, module: str, *, providers: str = "") -> Path:
    """A root module; `providers` is its lock file."""
    directory.mkdir()
    (directory / "main.tf").write_text(module)
    (directory / ".terraform.lock.hcl").write_text(providers)
    return directory


@contextmanager
def rigged(directory: Path, *, region: str, network: str, module: str = PLAIN) -> Iterator[Rig]:
    """Serve S3 and DynamoDB until left."""
    root = written(directory / "module", module)
    with serving(directory, {"s3": s3}, region=region, network=network, speed=600) as served:
        served.client("dynamodb").create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield Rig(served, directory, root)


def whole(ran: Ran) -> None:
    """The steps in their order."""
    ran.seen["detection"] = ran.lost.wait_until_seen()
    ran.seen["restored"] = ran.lost.recover()
    ran.seen["checked"] = ran.lost.check()
