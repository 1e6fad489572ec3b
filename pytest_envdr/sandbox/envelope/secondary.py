"""How the stack would be built again in its standby Region: what the stack file says of it, and what must be there.

Nothing of it is Terraform's of the primary Region: the bucket with the standby's states is in the standby Region, and
the role that FIS takes is the drill's, not the stack's.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.envelope import certificates, services, state
from pytest_envdr.sandbox.envelope.database import tenants
from pytest_envdr.sandbox.envelope.names import (
    ACCOUNT,
    IMAGE,
    KEY,
    PREFIX,
    REGION,
    SECRET,
    SERVICES,
    STANDBY_REGION,
    STATE_BUCKET,
    STATE_KEY,
)

if TYPE_CHECKING:
    from pytest_envdr.sandbox.envelope.account import Account
    from pytest_envdr.sandbox.world import World

VARIABLES = "standby.tfvars.json"
BUCKET = f"{STATE_BUCKET}-{STANDBY_REGION}"
EXPERIMENT_ROLE = "envelope-drill-fis"
FIRST = ("module.network", "module.data.aws_db_subnet_group.this", "module.data.aws_db_parameter_group.this")
"""What a database is restored into."""
TTL_SECONDS = 60
QUOTAS = [
    "vpc/L-F678F1CE",
    "elasticloadbalancing/L-53DA6B97",
    "fargate/L-3032A538",
    "rds/L-7B6409FD",
    "rds/L-7ADDB58A",
]
"""VPCs, load balancers, vCPUs of Fargate, database instances and their storage: what a second stack needs room for."""
PAGES = {"api": "/api/tenants", "hq": "/hq/tenants"}


def create(account: Account) -> None:
    """The bucket for the standby's states, in the standby Region, and the role that experiments are made under."""
    s3 = account.client("s3", STANDBY_REGION)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": STANDBY_REGION})
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    trust = {"Effect": "Allow", "Principal": {"Service": "fis.amazonaws.com"}, "Action": "sts:AssumeRole"}
    account.client("iam").create_role(
        RoleName=EXPERIMENT_ROLE,
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )


def describe(account: Account, standby: World, app_key: str) -> None:
    """The variables by which the same modules build the standby Region, beside those of the primary."""
    values = state.variables(account, app_key) | {
        "region": STANDBY_REGION,
        "cidr": str(standby.network),
        "globals": False,
        "delivery": False,
        "database_secret": SECRET,
        "image": IMAGE.replace(REGION, STANDBY_REGION),
        "environment": services.settings(standby),
        "state_bucket": "",
        "lock_table": "",
    }
    path = state.directory(account.world) / VARIABLES
    path.write_text(json.dumps(values, indent=2))


def tables(world: World, count: int) -> dict[str, dict[str, Any]]:
    """The stack file's `[secondary]` and the tables in it."""
    directory, tenant = state.directory(world), tenants(count)[-1]
    records = {
        f'secondary.records."{service.host}"': {"service": service.word, "ttl_seconds": TTL_SECONDS}
        for service in SERVICES
        if service.load_balancer
    }
    return {
        "secondary": {
            "first": FIRST,
            "subnet_group": PREFIX,
            "parameter_group": f"{PREFIX}-mariadb",
            "security_group": f"{PREFIX}-data",
            "prefix": PREFIX,
            "quotas": QUOTAS,
            "certificates": certificates.HOSTS,
            "keys": [KEY],
            "secrets": [SECRET],
            "experiment_role": f"arn:aws:iam::{ACCOUNT}:role/{EXPERIMENT_ROLE}",
        },
        "secondary.terraform": {
            "directory": str(directory),
            "variables": [str(directory / VARIABLES)],
            "providers": "wheel",
            "bucket": BUCKET,
            "key": STATE_KEY,
            "region": STANDBY_REGION,
        },
        "secondary.login": {"email": f"zoe1@{tenant.slug}.example", "password": f"{tenant.slug}1"},
        "secondary.pages": PAGES,
        **records,
    }
