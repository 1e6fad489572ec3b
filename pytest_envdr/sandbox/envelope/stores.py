"""The database instance, the cache's replication group and the secret with the database's credentials."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.control_plane.elasticache.parameters import family
from pytest_envdr.sandbox.data_plane.mariadb import version
from pytest_envdr.sandbox.envelope.names import CACHE, DATABASE, PREFIX, SECRET, TAGS

if TYPE_CHECKING:
    from pytest_envdr.sandbox.envelope.account import Account
    from pytest_envdr.sandbox.envelope.network import Network

USER = "envelope"
PARAMETERS = f"{PREFIX}-mariadb"
SERVER_PARAMETERS = {
    "event_scheduler": "ON",
    "log_bin_trust_function_creators": "1",
    "character_set_server": "utf8mb4",
    "collation_server": "utf8mb4_unicode_ci",
    "max_allowed_packet": "67108864",
}
"""The instance's own parameter group. A tenant's events need the scheduler, its routines the trust."""
CACHE_NODES = 2
CACHE_PARAMETERS = {"maxmemory-policy": "noeviction"}
"""The cache's own parameter group: the queue is in it, and a job that is evicted is lost. (The engine's default evicts
what expires; a job's lock does.)"""
RETENTION_DAYS = 7
SNAPSHOT = f"{DATABASE}-before-release"
FILLING_SECONDS = 600.0
"""How long the database may take to be filled where no template is kept; 1,000 tenants took 41 s."""


@dataclass(frozen=True)
class Stores:
    """Where the tasks find their stores: addresses, the cache's of its primary, and the secret's ARN."""

    database_host: str
    database_port: int
    secret: str
    cache_host: str
    cache_port: int


def create(account: Account, network: Network) -> Stores:
    """Both stores, available."""
    password = secrets.token_urlsafe(18)
    rds = account.client("rds")
    rds.create_db_subnet_group(
        DBSubnetGroupName=PREFIX, DBSubnetGroupDescription=PREFIX, SubnetIds=network.tier("data"), Tags=TAGS
    )
    _create_parameter_group(account)
    rds.create_db_instance(
        DBInstanceIdentifier=DATABASE,
        Engine="mariadb",
        DBInstanceClass="db.t4g.medium",
        AllocatedStorage=20,
        MasterUsername=USER,
        MasterUserPassword=password,
        DBName="central",
        DBSubnetGroupName=PREFIX,
        VpcSecurityGroupIds=[network.groups["data"]],
        DBParameterGroupName=PARAMETERS,
        BackupRetentionPeriod=0,
        DeletionProtection=True,
        StorageEncrypted=True,
        Tags=[{"Key": "environment", "Value": "prod"}, *TAGS],
    )
    _create_cache(account, network)
    return _available(account, password)


def begin_backups(account: Account) -> None:
    """Turn automated backups on, without waiting for the first, which holds what has been written by then."""
    account.client("rds").modify_db_instance(
        DBInstanceIdentifier=DATABASE, BackupRetentionPeriod=RETENTION_DAYS, ApplyImmediately=True
    )


def take_snapshot(account: Account) -> None:
    """A manual snapshot, as somebody takes one before a release; once no backup is under way."""
    rds = account.client("rds")

    def idle() -> bool:
        rows = rds.describe_db_instances(DBInstanceIdentifier=DATABASE)["DBInstances"]
        return bool(rows[0]["DBInstanceStatus"] == "available")

    def available() -> bool:
        rows = rds.describe_db_snapshots(DBSnapshotIdentifier=SNAPSHOT)["DBSnapshots"]
        return bool(rows[0]["Status"] == "available")

    account.wait_until(f"database {DATABASE} idle", idle)
    rds.create_db_snapshot(DBInstanceIdentifier=DATABASE, DBSnapshotIdentifier=SNAPSHOT)
    account.wait_until(f"snapshot {SNAPSHOT}", available)


def database_family() -> str:
    """The family of the database's parameter group: that of the server which is installed."""
    return "mariadb" + ".".join(version().split(".")[:2])


def _create_parameter_group(account: Account) -> None:
    """What the application needs of the server, which the engine's default group does not have."""
    rds = account.client("rds")
    rds.create_db_parameter_group(
        DBParameterGroupName=PARAMETERS,
        DBParameterGroupFamily=database_family(),
        Description="Envelope's database",
        Tags=TAGS,
    )
    rds.modify_db_parameter_group(
        DBParameterGroupName=PARAMETERS,
        Parameters=[
            {"ParameterName": name, "ParameterValue": value, "ApplyMethod": "pending-reboot"}
            for name, value in SERVER_PARAMETERS.items()
        ],
    )


def _create_cache(account: Account, network: Network) -> None:
    """A primary and a replica in two zones, either of which may be lost."""
    elasticache = account.client("elasticache")
    elasticache.create_cache_subnet_group(
        CacheSubnetGroupName=PREFIX, CacheSubnetGroupDescription=PREFIX, SubnetIds=network.tier("data"), Tags=TAGS
    )
    elasticache.create_cache_parameter_group(
        CacheParameterGroupName=CACHE,
        CacheParameterGroupFamily=family(),
        Description="Envelope's cache and queue",
        Tags=TAGS,
    )
    elasticache.modify_cache_parameter_group(
        CacheParameterGroupName=CACHE,
        ParameterNameValues=[
            {"ParameterName": name, "ParameterValue": value} for name, value in CACHE_PARAMETERS.items()
        ],
    )
    elasticache.create_replication_group(
        ReplicationGroupId=CACHE,
        ReplicationGroupDescription="Envelope's cache and queue",
        Engine="redis",
        CacheNodeType="cache.t4g.small",
        NumCacheClusters=CACHE_NODES,
        AutomaticFailoverEnabled=True,
        MultiAZEnabled=True,
        CacheParameterGroupName=CACHE,
        CacheSubnetGroupName=PREFIX,
        SecurityGroupIds=[network.groups["data"]],
        Tags=[{"Key": "environment", "Value": "prod"}, *TAGS],
    )


def _available(account: Account, password: str) -> Stores:
    rds, elasticache = account.client("rds"), account.client("elasticache")

    def instance() -> dict[str, str | dict[str, str]]:
        return dict(rds.describe_db_instances(DBInstanceIdentifier=DATABASE)["DBInstances"][0])

    def group() -> dict[str, Any]:
        return dict(elasticache.describe_replication_groups(ReplicationGroupId=CACHE)["ReplicationGroups"][0])

    account.wait_until(
        f"database {DATABASE}",
        lambda: instance()["DBInstanceStatus"] in {"available", "backing-up"},
        deadline=FILLING_SECONDS,
    )
    account.wait_until(f"cache {CACHE}", lambda: group()["Status"] == "available")
    database: dict[str, str] = instance()["Endpoint"]  # type: ignore[assignment]
    cache = group()["NodeGroups"][0]["PrimaryEndpoint"]
    secret = account.client("secretsmanager").create_secret(
        Name=SECRET,
        SecretString=json.dumps(
            {"username": USER, "password": password, "host": database["Address"], "port": int(database["Port"])}
        ),
        Tags=TAGS,
    )
    return Stores(database["Address"], int(database["Port"]), secret["ARN"], cache["Address"], int(cache["Port"]))
