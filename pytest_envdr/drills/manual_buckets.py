"""A tenant's bucket made by hand, like the one that the provisioner would have made: the runbook's commands.

What a bucket is like is read from another tenant's: each part of its configuration, with the tenant's and the bucket's
own names in the place of the other's. Notifications come last, so that nobody hears of the making.
"""

from __future__ import annotations

import json
import re
import secrets
import shlex
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_envdr import founding, laravel
from pytest_envdr.aws import s3, s3_acts
from pytest_envdr.drills import Finding
from pytest_envdr.drills.configuring import PUTS
from pytest_envdr.errors import AwsError, WaitTimedOut
from pytest_envdr.verify import bucket as verify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.tenancy import Tenant
    from pytest_envdr.founding import Founded
    from pytest_envdr.journal import Journal
    from pytest_envdr.tables import Provisioner
    from pytest_envdr.verify.bucket import Difference

CONSISTENT_SECONDS = 30.0
"""How long a bucket's configuration may take to be seen as it was put (aws-semantics 3.7)."""
TAKEN = "BucketAlreadyExists"
"""S3's word for a name that is another account's."""


@dataclass(frozen=True)
class Step:
    """One call: "PutBucketPolicy" with its arguments."""

    operation: str
    arguments: Mapping[str, Any]

    @property
    def command(self) -> str:
        """The same for the shell."""
        name = re.sub(r"(?<!^)(?=[A-Z])", "-", self.operation).lower()
        return f"aws s3api {name} --cli-input-json {shlex.quote(json.dumps(self.arguments, ensure_ascii=False))}"


@dataclass(frozen=True)
class Manual:
    """What was made by hand: the bucket, and whether the tenant's own name was taken."""

    bucket: str
    fallback: bool
    steps: tuple[Step, ...]


def create(aws: Aws, journal: Journal, drill: Drill, tenant: Founded, like: Tenant) -> Manual:
    """The manual procedure, as the runbook has it: attached as a script, and done.

    Raises:
        AwsError: S3 refuses a step.
    """
    row = founding.row(aws.stack)
    name, fallback = tenant.bucket, False
    try:
        s3_acts.create_expected(aws, journal, name)
    except AwsError as error:
        if error.code != TAKEN:
            raise
        name, fallback = row.fallback.format(bucket=name, hex=secrets.token_hex(3)), True
        drill.note(f"{tenant.bucket} is another account's; the fallback name is {name}")
        s3_acts.expect_bucket(journal, name, tenant=tenant.slug)
        s3_acts.create_expected(aws, journal, name)
    made = Manual(name, fallback, tuple(steps(aws, like, slug=tenant.slug, name=name)))
    drill.attach("create-bucket.sh", script(aws, row, tenant, made), media_type="text/x-shellscript")
    for step in made.steps[1:]:
        arguments = {key: value for key, value in step.arguments.items() if key != "Bucket"}
        s3_acts.configure(aws, journal, name, f"s3.{step.operation}", **arguments)
    if fallback:
        founding.note_bucket(aws, journal, tenant.slug, name)
        drill.mark("fallback name noted")
    return made


def steps(aws: Aws, like: Tenant, *, slug: str, name: str) -> list[Step]:
    """The calls that make a bucket like another tenant's, the making itself first."""
    made = [Step("CreateBucket", s3_acts.creation(aws, name))]
    for aspect, puts in PUTS.items():
        raw = _renamed(s3.configuration(aws, like.bucket, aspect), like, slug, name)
        made += [Step(operation, {"Bucket": name, **given}) for operation, given in puts(raw, like.bucket, name)]
    if tags := s3.configuration(aws, like.bucket, "tags"):
        tagging = {"TagSet": _renamed(tags, like, slug, name)}
        made.append(Step("PutBucketTagging", {"Bucket": name, "Tagging": tagging}))
    if notifications := s3.configuration(aws, like.bucket, "notification"):
        told = {"NotificationConfiguration": _renamed(notifications, like, slug, name)}
        made.append(Step("PutBucketNotificationConfiguration", {"Bucket": name, **told}))
    return made


def script(aws: Aws, row: Provisioner, tenant: Founded, made: Manual) -> str:
    """The procedure for the shell; it stops at the first command that fails."""
    endpoint = ["--endpoint-url", aws.stack.endpoint] if aws.stack.endpoint else []
    where = shlex.join(["--region", aws.stack.region, *endpoint])
    note = _noting(aws, row, tenant.slug, made.bucket if made.fallback else "FALLBACK")
    fallback = row.fallback.format(bucket=tenant.bucket, hex="<six hex digits>")
    lines = [
        "#!/bin/sh",
        f"# The bucket of tenant {tenant.slug}, made by hand.",
        f"# Where create-bucket answers {TAKEN}, the name is another account's. Take {fallback}",
        "# instead, in every line below, and note it in `tenants.bucket` of the central database:",
        f"#   {note}",
        "set -eu",
        f'aws() {{ command aws {where} "$@"; }}',
        "",
        *(step.command for step in made.steps),
    ]
    if made.fallback:
        lines += [f"# {tenant.bucket} was taken: this is the fallback name. Noted where the application looks:", note]
    return "\n".join(lines) + "\n"


def _noting(aws: Aws, row: Provisioner, slug: str, name: str) -> str:
    """The command that notes a bucket's name for a tenant, in a task like the service's own."""
    service = aws.stack.services[row.service]
    command = [*row.artisan, "tenant:bucket", slug, name]
    before = {"cluster": service.cluster, "service": service.name, "command": command, "exercise": ""}
    arguments = {key: value for key, value in laravel.calling(aws, before).items() if key != "tags"}
    return f"aws ecs run-task --cli-input-json {shlex.quote(json.dumps(arguments))}"


def differences(aws: Aws, drill: Drill, like: Tenant, *, slug: str, name: str) -> list[Difference]:
    """What of a bucket's whole configuration is not as another tenant's, once it had the time to be seen."""
    wanted = _renamed(verify.configuration(aws, like.bucket), like, slug, name)
    found: list[Difference] = []

    def read() -> list[Difference]:
        found[:] = verify.compare_configuration(wanted, verify.configuration(aws, name))
        return found

    with suppress(WaitTimedOut):
        drill.wait_until(
            read,
            lambda rows: not rows,
            what=f"the configuration of {name} being that of {like.bucket}",
            deadline=CONSISTENT_SECONDS if _may_settle(read()) else 0.5,
            shown=lambda rows: ", ".join(row.kind for row in rows),
        )
    return found


def tell(drill: Drill, found: Sequence[Difference], like: Tenant, name: str) -> None:
    """Each aspect that differs is a finding that fails; one that cannot be read, a warning."""
    for difference in found:
        unread = difference.kind == "unreadable"
        drill.finding(
            Finding(
                f"bucket.{difference.kind}",
                "warning" if unread else "failure",
                f"{name}, made by hand, is not as {like.bucket}: {difference.name if unread else difference.kind}",
                str(difference),
                "" if unread else "Mend the runbook's step, and the bucket.",
            )
        )
    rows = [(one.kind, one.expected or "-", one.actual or "-") for one in found]
    caption = f"the whole configuration, tags included, with the tenant's own names for those of {like.slug}"
    drill.table(f"{name} held against {like.bucket}", ("what", "wanted", "is"), rows, caption=caption)


def _may_settle(found: Sequence[Difference]) -> bool:
    """Whether waiting may help: nothing does for what cannot be read."""
    return any(difference.kind != "unreadable" for difference in found)


def _renamed(value: Any, like: Tenant, slug: str, name: str) -> Any:
    """With one tenant's names in the place of another's: the bucket's wherever it stands, the tenant's as a whole."""
    if isinstance(value, dict):
        return {key: _renamed(one, like, slug, name) for key, one in value.items()}
    if isinstance(value, list):
        return [_renamed(one, like, slug, name) for one in value]
    if not isinstance(value, str):
        return value
    return slug if value == like.slug else value.replace(like.bucket, name)
