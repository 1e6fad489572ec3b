"""What the stack keeps in its standby Region: copies of its images, of its database's backups and of its secret.

Nothing here is waited for: the copies arrive while the rest of the stack is built, and after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_envdr.sandbox.envelope.names import (
    ACCOUNT,
    DATABASE,
    KEY,
    PREFIX,
    REGION,
    SECRET,
    STANDBY_REGION,
)

if TYPE_CHECKING:
    from pytest_envdr.sandbox.envelope.account import Account

RETENTION_DAYS = 7


def replicate_images(account: Account) -> None:
    """Every image that is pushed from now on."""
    rule = {"destinations": [{"region": STANDBY_REGION, "registryId": ACCOUNT}]}
    account.client("ecr").put_replication_configuration(replicationConfiguration={"rules": [rule]})


def replicate_secret(account: Account) -> str:
    """The secret with the database's password, under a new key of the standby Region; that key's ARN."""
    kms = account.client("kms", STANDBY_REGION)
    key = kms.create_key(Description=f"{PREFIX}'s copies", Tags=[{"TagKey": "environment", "TagValue": "prod"}])
    kms.create_alias(AliasName=KEY, TargetKeyId=key["KeyMetadata"]["Arn"])
    account.client("secretsmanager").replicate_secret_to_regions(
        SecretId=SECRET, AddReplicaRegions=[{"Region": STANDBY_REGION, "KmsKeyId": KEY}]
    )
    return str(key["KeyMetadata"]["Arn"])


def replicate_backups(account: Account, key: str) -> None:
    """The database's automated backups, under that key."""
    account.client("rds", STANDBY_REGION).start_db_instance_automated_backups_replication(
        SourceDBInstanceArn=f"arn:aws:rds:{REGION}:{ACCOUNT}:db:{DATABASE}",
        BackupRetentionPeriod=RETENTION_DAYS,
        KmsKeyId=key,
    )
