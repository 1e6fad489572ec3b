"""Whatever ends the recovery of a bucket, and whenever: the undo brings every version list back, and no bucket of the
drill's is left."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr import undo
from pytest_envdr.aws import Aws
from pytest_envdr.journal import Header, Journal
from pytest_envdr.stack import Objective
from tests.drills import bucket_deaths, lanes, runs
from tests.drills.bucket_deaths import Order
from tests.drills.bucket_rig import Rig, rigged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DELETE, PUT, COPY = "s3.DeleteObjects", "s3.PutObject", "s3.CopyObject"
CREATE, ANNOUNCE = "s3.CreateBucket", "s3.PutBucketNotificationConfiguration"
PARTS = "s3.CreateMultipartUpload", "s3.UploadPartCopy", "s3.CompleteMultipartUpload"
RESTORE = "backup.StartRestoreJob"
RANDOM = random.Random(20)  # noqa: S311 (instants, not secrets)
SECONDS = [milliseconds / 1000 for milliseconds in RANDOM.sample(range(800), 20)]
"""How long after the fault a drill is killed: it acts for some tenths of a second, and puts back for as long."""


@dataclass(frozen=True)
class Death:
    """When a drill dies: at a step, or after so many seconds."""

    name: str
    how: Mapping[str, Any]
    large: bool = False


STEPS = [
    *(Death(f"{state} {DELETE}", {"state": state, "act": DELETE}) for state in ("intended", "answered", "settled")),
    Death(f"answered {PUT}", {"state": "answered", "act": PUT, "damage": "overwritten"}),
    Death(f"answered {CREATE}", {"state": "answered", "act": CREATE}),
    Death("answered the tags", {"state": "answered", "act": "s3.PutBucketTagging"}),
    Death(f"answered {COPY}, aside", {"state": "answered", "act": COPY}),
    Death(f"settled {COPY}, aside", {"state": "settled", "act": COPY}),
    *(Death(f"answered {act}, aside", {"state": "answered", "act": act}, large=True) for act in PARTS),
    *(Death(f"answered {act}, back", {"state": "answered", "act": act, "turn": 2}, large=True) for act in PARTS),
    Death(f"answered {ANNOUNCE}", {"state": "answered", "act": ANNOUNCE}),
    Death(f"answered {COPY}, back", {"state": "answered", "act": COPY, "turn": 2}),
    Death(f"answered {RESTORE}", {"state": "answered", "act": RESTORE, "source": "backup"}),
    *(Death(f"reversed {act}", {"state": "reversed", "act": act}) for act in (ANNOUNCE, COPY, CREATE, DELETE)),
]
CHANCES = [
    Death(f"{seconds} s", {"seconds": seconds, "damage": ("emptied", "overwritten")[number % 2]})
    for number, seconds in enumerate(SECONDS)
]
DEATHS = [*STEPS, *CHANCES]


@dataclass(frozen=True)
class Outcome:
    """How a drill died, what it owed, and the versions before it and after the undo."""

    code: int
    owed: int
    before: list[Any]
    after: list[Any]


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """S3 and AWS Backup, for this module."""
    with rigged(tmp_path_factory.mktemp("killed-buckets"), region="eu-central-2", network="127.234.0.0/16") as rig:
        yield rig


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, rig: Rig) -> dict[str, Outcome]:
    """All that were selected die, one after the other, each on a bucket of its own; then all is undone."""
    stack = rig.stack(objectives={"tenant_bucket_recovery": Objective(rto_seconds=60, rpo_seconds=5)})
    before, orders, deaths = {}, [], lanes.wanted(request, DEATHS)
    for number, death in enumerate(deaths):
        bucket = rig.small(large=death.large)
        if death.how.get("source") == "backup":
            rig.backed_up(bucket)
        before[death.name] = rig.versions(bucket)
        journal = str(rig.directory / f"died-{number}" / "target.jsonl")
        orders.append(Order(stack.model_dump_json(exclude={"path"}), journal, bucket, **death.how))
    command = [sys.executable, "-m", "tests.drills.bucket_deaths", bucket_deaths.to_json(orders)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=runs.ROOT, timeout=runs.SECONDS)
    assert done.returncode == 0, done.stderr
    found = {}
    for death, order, code in zip(deaths, orders, json.loads(done.stdout), strict=True):
        owed = undone(rig, order)
        found[death.name] = Outcome(code, owed, before[death.name], rig.versions(order.bucket))
    return found


def undone(rig: Rig, order: Order) -> int:
    """Bring back what a drill owes; how many entries that were. A second time there is nothing to do."""
    stack = rig.stack()
    header = Header("undo", stack.account, stack.region, stack.endpoint)
    with Journal.open(Path(order.journal), header) as journal:
        owed = len(journal.owed())
        undo.replay(Aws(stack, journal), journal)
        assert journal.owed() == []
    return owed


@pytest.mark.parametrize("death", lanes.thinned(STEPS, every=12), ids=lambda death: death.name)
def test_killed_at_a_step(outcomes: dict[str, Outcome], death: Death) -> None:
    """SIGKILL around a call, in the damage, the recovery, the merge and on the way back: it is owed, and undone."""
    outcome = outcomes[death.name]
    assert outcome.code == -signal.SIGKILL
    assert outcome.owed or death.name == f"reversed {DELETE}"
    assert outcome.after == outcome.before


@pytest.mark.parametrize("death", lanes.thinned(CHANCES, every=7), ids=lambda death: death.name)
def test_killed_at_random(outcomes: dict[str, Outcome], death: Death) -> None:
    """SIGKILL at an instant that nobody chose."""
    outcome = outcomes[death.name]
    assert outcome.code in (-signal.SIGKILL, 0), "a fast machine is done before"
    assert outcome.after == outcome.before


def test_nothing_is_left(rig: Rig, outcomes: dict[str, Outcome]) -> None:
    """No staging bucket and no open upload of any of them; those killed at random were at work."""
    chances = [outcomes[death.name] for death in CHANCES if death.name in outcomes]
    died = [outcome for outcome in chances if outcome.code == -signal.SIGKILL]
    assert len(died) >= len(chances) / 4
    assert any(outcome.owed for outcome in died)
    assert rig.left() == []
    for row in rig.s3.list_buckets()["Buckets"]:
        assert rig.s3.list_multipart_uploads(Bucket=row["Name"]).get("Uploads", []) == []
