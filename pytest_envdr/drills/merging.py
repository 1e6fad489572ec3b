"""The merge plan: what of a staging bucket goes back into the original, key by key, why, and by which command.

The plan is made from both buckets as they are, and the versions tell what happened since: a key whose newest version is
still the damage's own may be replaced; a newer one is somebody's work, and a conflict that a person decides.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from pytest_envdr.aws import s3, s3_copies
from pytest_envdr.drills import staging as aside
from pytest_envdr.drills.holdings import Held, ids

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_envdr.aws import Aws
    from pytest_envdr.aws.s3_acts import Made
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.holdings import Holding
    from pytest_envdr.drills.staging import Staging
    from pytest_envdr.journal import Journal

Action = Literal["add", "replace", "conflict", "skip"]

OPTIONS = {
    "StorageClass": "--storage-class",
    "ServerSideEncryption": "--server-side-encryption",
    "SSEKMSKeyId": "--ssekms-key-id",
    "WebsiteRedirectLocation": "--website-redirect-location",
}
"""Of `aws s3api copy-object`."""
LARGE_OPTIONS = {
    "StorageClass": "--storage-class",
    "ServerSideEncryption": "--sse",
    "SSEKMSKeyId": "--sse-kms-key-id",
    "WebsiteRedirectLocation": "--website-redirect",
}
"""Of `aws s3 cp`, which copies in parts."""
PARAMETER_FILES = ("file://", "fileb://")
"""What the AWS CLI takes for the name of a file to read a value from, in a key too."""


@dataclass(frozen=True)
class Step:
    """What the plan says of one key.

    Attributes:
        action: `add` what is not there, `replace` what the damage left, `conflict`: somebody wrote since, `skip`.
        reason: why.
        command: for the shell; "" where nothing is done.
        copy: the same for the API.
    """

    key: str
    action: Action
    reason: str
    command: str = ""
    copy: s3_copies.Copy | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Plan:
    """The steps in the order of keys, and all versions of each key as they were when it was made."""

    bucket: str
    staging: str
    steps: tuple[Step, ...]
    known: Mapping[str, Sequence[str]]

    @property
    def copies(self) -> list[s3_copies.Copy]:
        """What is to be copied."""
        return [step.copy for step in self.steps if step.copy is not None]

    def keys(self, *actions: Action) -> list[str]:
        """The keys with one of these actions."""
        return [step.key for step in self.steps if step.action in actions]

    @property
    def counts(self) -> str:
        """How many of each, in words."""
        counted = Counter(step.action for step in self.steps)
        return ", ".join(f"{counted[action]} {action}" for action in ("add", "replace", "conflict", "skip"))

    def as_json(self) -> str:
        """For the evidence, and for a program."""
        rows = [{name: value for name, value in asdict(step).items() if name != "copy"} for step in self.steps]
        return json.dumps({"bucket": self.bucket, "from": self.staging, "steps": rows}, indent=2, ensure_ascii=False)

    def as_script(self, *, region: str, endpoint: str | None, title: str) -> str:
        """For the shell; it stops at the first command that fails."""
        where = shlex.join(["--region", region, *(["--endpoint-url", endpoint] if endpoint else [])])
        lines = [
            "#!/bin/sh",
            f"# {title}: {self.counts}.",
            f"# Into {self.bucket} from {self.staging}. Conflicts are left to a person.",
            "set -eu",
            f'aws() {{ command aws {where} "$@"; }}',
        ]
        for step in self.steps:
            lines.append(f"\n# {step.action}: {_one_line(step.key)}: {_one_line(step.reason)}")
            lines += [step.command] if step.command else []
        return "\n".join(lines) + "\n"


def plan(
    aws: Aws, before: Holding, staging: Staging, *, damage: Mapping[str, str], limit: int = s3_copies.COPY_LIMIT
) -> Plan:
    """Compare the staging bucket with the original as both are now.

    Args:
        aws: read only.
        before: the original before the damage.
        staging: what was recovered.
        damage: the ids of the versions and markers that the damage made, by key.
        limit: objects of more bytes are copied in parts.
    """
    staged = {one.key: one for one in s3.versions(aws, staging.bucket) if one.latest and not one.delete_marker}
    versions = list(s3.versions(aws, before.bucket))
    now = {one.key: one for one in versions if one.latest}
    steps = []
    for key in sorted(staged.keys() | now.keys()):
        action, reason = _decided(key, staged.get(key), now.get(key), before, damage.get(key, ""))
        copy = None
        if action in ("add", "replace"):
            held = _as_it_was(staged[key], before.objects.get(key))
            copy = aside.copy(staging.bucket, held, staged[key].version_id, to=before.bucket)
        steps.append(Step(key, action, reason, command(copy, aws.stack.account, limit) if copy else "", copy))
    return Plan(before.bucket, staging.bucket, tuple(steps), ids(versions))


def _decided(
    key: str, staged: s3.Version | None, now: s3.Version | None, before: Holding, damage: str
) -> tuple[Action, str]:
    was = before.latest.get(key)
    if now is not None and was is not None and now.version_id == was.version_id:
        return "skip", "not damaged: its newest version is the one from before"
    if staged is None:
        return "skip", _why_not_staged(key, before)
    if now is None:
        return "add", "no version of it is there any more"
    if now.version_id != damage:
        what = "deleted" if now.delete_marker else "written"
        return "conflict", f"{what} by somebody after the damage, at {now.last_modified:%Y-%m-%d %H:%M:%S} UTC"
    if now.delete_marker:
        return "add", "deleted by the damage"
    return "replace", "written over by the damage"


def _why_not_staged(key: str, before: Holding) -> str:
    held = before.objects.get(key)
    if held is None:
        return "not there before the damage"
    if held.archived:
        return f"archived ({held.storage_class}): restore it first, or take the damage's own version away"
    return "not in what was recovered"


def _as_it_was(staged: s3.Version, held: Held | None) -> Held:
    """How it shall be stored: as the original was, not as the copy is; as large as the copy is."""
    copied = Held(staged.key, staged.version_id, staged.size, staged.etag, staged.storage_class, {})
    return replace(copied, storage_class=held.storage_class, facts=held.facts) if held else copied


def command(copy: s3_copies.Copy, account: str, limit: int) -> str:
    """The AWS CLI's for one copy, quoted for the shell whatever the key is."""
    if copy.size > limit:
        # The CLI's own copy in parts, which takes the current version, and keeps metadata and tags only if told.
        words = ["aws", "s3", "cp", f"s3://{copy.bucket}/{copy.key}", f"s3://{copy.to}/{copy.key}"]
        return shlex.join([*words, "--copy-props", "default", *_options(copy, LARGE_OPTIONS)])
    source = f"{copy.bucket}/{copy.key}?versionId={copy.version_id}"
    owners = ["--expected-bucket-owner", account, "--expected-source-bucket-owner", account]
    kept = ["--metadata-directive", "COPY", "--tagging-directive", "COPY", *_options(copy, OPTIONS)]
    kept += ["--bucket-key-enabled"] if copy.kept.get("BucketKeyEnabled") else []
    if copy.key.startswith(PARAMETER_FILES):
        where = ["--cli-input-json", json.dumps({"Bucket": copy.to, "Key": copy.key, "CopySource": source})]
    else:
        where = ["--bucket", copy.to, f"--key={copy.key}", "--copy-source", source]
    return shlex.join(["aws", "s3api", "copy-object", *where, *kept, *owners])


def _options(copy: s3_copies.Copy, options: Mapping[str, str]) -> list[str]:
    found: list[str] = []
    for name, option in options.items():
        if copy.kept.get(name):
            found += [option, str(copy.kept[name])]
    return found


def tell(aws: Aws, drill: Drill, made: Plan) -> None:
    """The plan as a table, as JSON and as a script, in the evidence."""
    title = f"Merge plan of exercise {drill.exercise_id}"
    script = made.as_script(region=aws.stack.region, endpoint=aws.stack.endpoint, title=title)
    drill.attach("merge-plan.json", made.as_json(), media_type="application/json")
    drill.attach("merge-plan.sh", script, media_type="text/x-shellscript")
    rows: list[tuple[Any, ...]] = [(_one_line(step.key), step.action, step.reason) for step in made.steps]
    caption = f"Into {made.bucket}: {made.counts}. The commands are in merge-plan.sh, for programs in merge-plan.json."
    drill.table("Merge plan", ("key", "action", "why"), rows, caption=caption)


def apply(aws: Aws, journal: Journal, made: Plan, *, limit: int) -> Made:
    """Copy what is to be added and replaced, as new versions; nothing of the original goes."""
    return s3_copies.copy_back(aws, journal, made.copies, before=made.known, limit=limit)


def _one_line(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
