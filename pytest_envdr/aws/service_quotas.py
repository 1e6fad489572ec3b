"""Service Quotas: how much of something account and Region allow; they are counted Region by Region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_envdr.aws import Aws


@dataclass(frozen=True)
class Quota:
    """A quota of a service ("rds", "fargate", "vpc", ...) by its code, "L-7B6409FD", and the value in force."""

    service: str
    code: str
    name: str
    value: float


def quota(aws: Aws, service: str, code: str) -> Quota:
    """The value in force in the Region.

    Raises:
        NotFound: there is no such service or quota.
    """
    what = f"Quota {service}/{code} in {aws.stack.region} cannot be read"
    row = aws.call("service-quotas.GetServiceQuota", what=what, ServiceCode=service, QuotaCode=code)["Quota"]
    return Quota(service, row["QuotaCode"], row.get("QuotaName", ""), float(row["Value"]))
