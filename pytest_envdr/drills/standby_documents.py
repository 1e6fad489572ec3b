"""Where the tenants' documents are: a database that was restored names the buckets of the Region that it came from.

Nothing of that fails in a smoke test that asks for no document, and with the primary gone every document is. S3
replicates to another bucket, whose name no tenant's record has (aws-semantics 9.3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_envdr.aws import s3
from pytest_envdr.drills import Finding, tenancy
from pytest_envdr.errors import AwsError

if TYPE_CHECKING:
    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.mariadb import Server
    from pytest_envdr.tables import Database

LOOKED_AT = 100
"""How many buckets are asked for: each is a call of its own."""


def check(aws: Aws, drill: Drill, server: Server, row: Database, *, primary: str) -> None:
    """Tell where the tenants' buckets are, as the restored database has them; one in the primary Region is a finding.

    Args:
        aws: any Region.
        drill: whose report it is.
        server, row: the restored database, and the stack file's table of it.
        primary: the Region that is lost.
    """
    noted = [one for one in tenancy.tenants(server, row) if one.bucket]
    rows = [(one.slug, one.bucket, *_where(aws, one.bucket)) for one in noted[:LOOKED_AT]]
    columns = ("tenant", "bucket", "is in", "replicated to")
    drill.table("Where the tenants' documents are", columns, rows, caption=f"{len(rows)} of {len(noted)} buckets")
    if there := [slug for slug, _, region, _ in rows if region == primary]:
        drill.finding(
            Finding(
                "region.documents",
                "warning",
                f"the documents of {len(there)} tenants are in {primary}, and cannot be had without it",
                ", ".join(there),
                "Replicate the buckets, and note in each tenant's record where its documents are in the other Region.",
            )
        )


def _where(aws: Aws, bucket: str) -> tuple[str, str]:
    """The bucket's Region, and the buckets that it is replicated to."""
    try:
        rules = (s3.configuration(aws, bucket, "replication") or {}).get("Rules", [])
        copies = {rule["Destination"]["Bucket"].rpartition(":")[2] for rule in rules if rule.get("Status") == "Enabled"}
        return s3.region(aws, bucket), ", ".join(sorted(copies)) or "nowhere"
    except AwsError as error:
        return f"not told: {error.code}", ""
