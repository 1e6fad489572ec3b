"""How the stack is described by Terraform: the modules with their variables, and where their state is.

The state itself is made when it is first asked for (`founding`).
"""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.control_plane.elasticache.parameters import family
from pytest_envdr.sandbox.envelope import founding, provisioner, queue, services, stores
from pytest_envdr.sandbox.envelope.names import (
    IMAGE,
    LISTENER_PORT,
    PLAN,
    STANDBY_REGION,
    STATE_BUCKET,
    STATE_KEY,
    STATE_LOCKS,
    TAGS,
)

if TYPE_CHECKING:
    from pytest_envdr.sandbox.envelope.account import Account
    from pytest_envdr.sandbox.world import World

MODULES = Path(__file__).with_name("terraform")
VARIABLES, PACKAGE = "prod.tfvars.json", "tenant-provisioner.zip"
OLD_VERSIONS_DAYS = 90
"""How long a version lives on that another one replaced: longer than from one exercise to the next."""


def create(account: Account) -> None:
    """The bucket, as yet without a state; the table that locks it where one does."""
    s3 = account.client("s3")
    account.bucket(STATE_BUCKET)
    s3.put_bucket_versioning(Bucket=STATE_BUCKET, VersioningConfiguration={"Status": "Enabled"})
    encryption = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    s3.put_bucket_encryption(Bucket=STATE_BUCKET, ServerSideEncryptionConfiguration=encryption)
    blocked = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(Bucket=STATE_BUCKET, PublicAccessBlockConfiguration=dict.fromkeys(blocked, True))
    expiry = {
        "ID": "old-versions",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "NoncurrentVersionExpiration": {"NoncurrentDays": OLD_VERSIONS_DAYS},
    }
    s3.put_bucket_lifecycle_configuration(Bucket=STATE_BUCKET, LifecycleConfiguration={"Rules": [expiry]})
    if account.world.terraform_lock == "table":
        account.client("dynamodb").create_table(
            TableName=STATE_LOCKS,
            KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            Tags=TAGS,
        )


def describe(account: Account, app_key: str) -> None:
    """Lay the modules out with the variables of this stack, and have its state made when it is first asked for."""
    place = directory(account.world)
    shutil.copytree(MODULES, place)
    (place / PACKAGE).write_bytes(provisioner.package())
    (place / VARIABLES).write_text(json.dumps(variables(account, app_key), indent=2))
    account.world.bucket_contents[STATE_BUCKET] = partial(founding.found, account)


def row(world: World) -> dict[str, object]:
    """The stack file's `[terraform]`."""
    place = directory(world)
    values: dict[str, object] = {
        "directory": str(place),
        "variables": [str(place / VARIABLES)],
        "providers": "wheel",
        "bucket": STATE_BUCKET,
        "key": STATE_KEY,
        "lock": world.terraform_lock,
    }
    return values | ({"lock_table": STATE_LOCKS} if world.terraform_lock == "table" else {})


def directory(world: World) -> Path:
    """Where the modules and their variables are."""
    return world.directory / "terraform"


def variables(account: Account, app_key: str) -> dict[str, Any]:
    """What the modules cannot know of this sandbox."""
    world = account.world
    (plan,) = (
        one["BackupPlanId"]
        for one in account.client("backup").list_backup_plans()["BackupPlansList"]
        if one["BackupPlanName"] == PLAN
    )
    rule = account.client("backup").get_backup_plan(BackupPlanId=plan)["BackupPlan"]["Rules"][0]
    return {
        "endpoint": world.endpoint,
        "account": world.account,
        "region": world.region,
        "standby_region": STANDBY_REGION,
        "cidr": str(world.network),
        "image": IMAGE,
        "app_key": app_key,
        "environment": services.settings(world),
        "worker_command": queue.work(world),
        "listener_port": LISTENER_PORT,
        "jobs_visibility_seconds": queue.times(world).retry_after if world.queue == "sqs" else 0,
        "database_family": stores.database_family(),
        "cache_family": family(),
        "provisioner_package": str(directory(world) / PACKAGE),
        "backup_hour": int(rule["ScheduleExpression"].split()[1]),
        "state_bucket": STATE_BUCKET,
        "lock_table": STATE_LOCKS if world.terraform_lock == "table" else "",
    }
