"""Service Quotas: what account and Region allow, counted Region by Region; the defaults of what the stack is made of.

Codes and defaults: the services' pages "Endpoints and quotas" in the AWS General Reference. Those of RDS are the ones
that RDS keeps here (`rds/quotas.py`); the others are only told. An increase that is asked for is granted at once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.models import ServiceQuotasBackend
from moto.servicequotas.resources.default_quotas.vpc import VPC_DEFAULT_QUOTAS
from moto.servicequotas.responses import ServiceQuotasResponse
from typing_extensions import override

from pytest_envdr.sandbox.control_plane.ecs.paging import page
from pytest_envdr.sandbox.control_plane.extension import extend, moto_urls, on_each_path
from pytest_envdr.sandbox.control_plane.rds.quotas import QUOTAS as RDS
from pytest_envdr.sandbox.fidelity import SIMULATED, Fidelity

if TYPE_CHECKING:
    from types import ModuleType

    from pytest_envdr.sandbox.control_loop import Controller
    from pytest_envdr.sandbox.world import World

FIDELITY: dict[str, Fidelity] = dict.fromkeys(
    (
        "GetAWSDefaultServiceQuota",
        "GetServiceQuota",
        "ListAWSDefaultServiceQuotas",
        "ListServiceQuotas",
        "ListServices",
        "RequestServiceQuotaIncrease",
    ),
    SIMULATED,
)
SERVICES = {
    "ec2": "Amazon Elastic Compute Cloud (Amazon EC2)",
    "ecs": "Amazon Elastic Container Service (Amazon ECS)",
    "elasticloadbalancing": "Elastic Load Balancing (ELB)",
    "fargate": "AWS Fargate",
    "lambda": "AWS Lambda",
    "rds": "Amazon Relational Database Service (Amazon RDS)",
    "vpc": "Amazon Virtual Private Cloud (Amazon VPC)",
}
PAGE = 100


@dataclass(frozen=True)
class Quota:
    """A quota of a service in a Region, and its value in force."""

    service: str
    code: str
    name: str
    value: float

    def described(self, region: str, account: str) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "ServiceCode": self.service,
            "ServiceName": SERVICES[self.service],
            "QuotaArn": f"arn:aws:servicequotas:{region}:{account}:{self.service}/{self.code}",
            "QuotaCode": self.code,
            "QuotaName": self.name,
            "Value": self.value,
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }


DEFAULTS = (
    Quota("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs", 5),
    Quota("ecs", "L-21C621EB", "Clusters per account", 10_000),
    Quota("ecs", "L-9EF96962", "Services per cluster", 5_000),
    Quota("elasticloadbalancing", "L-53DA6B97", "Application Load Balancers per Region", 50),
    Quota("elasticloadbalancing", "L-B22855CB", "Target Groups per Region", 3_000),
    Quota("elasticloadbalancing", "L-B6DF7632", "Listeners per Application Load Balancer", 50),
    Quota("elasticloadbalancing", "L-7E6692B2", "Targets per Application Load Balancer", 1_000),
    Quota("fargate", "L-3032A538", "Fargate On-Demand vCPU resource count", 6),
    Quota("fargate", "L-36FBB829", "Fargate Spot vCPU resource count", 6),
    Quota("lambda", "L-B99A9384", "Concurrent executions", 1_000),
    Quota("rds", "L-7B6409FD", "DB instances", RDS["DBInstances"]),
    Quota("rds", "L-7ADDB58A", "Total storage for all DB instances", RDS["AllocatedStorage"]),
    Quota("rds", "L-272F1212", "Manual DB instance snapshots", RDS["ManualSnapshots"]),
    Quota("rds", "L-48C6BF61", "DB subnet groups", RDS["DBSubnetGroups"]),
    Quota("rds", "L-DE55804A", "Parameter groups", RDS["DBParameterGroups"]),
    Quota("rds", "L-9FA33840", "Option groups", RDS["OptionGroups"]),
    *(
        Quota("vpc", str(row["QuotaCode"]), str(row["QuotaName"]), float(str(row["Value"])))
        for row in VPC_DEFAULT_QUOTAS
    ),
)


class SandboxServiceQuotas(ServiceQuotasBackend):
    """One account's quotas in one Region.

    Attributes:
        raised: the values that were asked for and granted, by quota code.
    """

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.raised: dict[str, float] = {}

    @property
    @override
    def _url_module(self) -> ModuleType:
        return moto_urls("servicequotas")

    def quotas(self, service: str, *, in_force: bool) -> list[Quota]:
        """A service's quotas, the values in force or the defaults.

        Raises:
            NoSuchResource: there is no such service.
        """
        found = [quota for quota in DEFAULTS if quota.service == service]
        if not found:
            raise NoSuchResource
        raised = self.raised if in_force else {}
        return [replace(quota, value=raised.get(quota.code, quota.value)) for quota in found]

    def quota(self, service: str, code: str, *, in_force: bool) -> Quota:
        """One of them. Raises NoSuchResource."""
        found = [quota for quota in self.quotas(service, in_force=in_force) if quota.code == code]
        if not found:
            raise NoSuchResource
        return found[0]


class SandboxServiceQuotasResponse(ServiceQuotasResponse):
    """Answers from our tables."""

    @property
    def sandbox(self) -> SandboxServiceQuotas:
        return cast("SandboxServiceQuotas", self.backend)

    def list_services(self) -> str:
        """ListServices: those that have quotas here."""
        rows = [{"ServiceCode": code, "ServiceName": name} for code, name in SERVICES.items()]
        return self._page(rows, "Services")

    def list_service_quotas(self) -> str:
        """ListServiceQuotas: the values in force."""
        return self._list(in_force=True)

    @override
    def list_aws_default_service_quotas(self) -> str:
        """ListAWSDefaultServiceQuotas."""
        return self._list(in_force=False)

    @override
    def get_service_quota(self) -> str:
        """GetServiceQuota: the value in force."""
        return json.dumps({"Quota": self._shown(self._named(in_force=True))})

    def get_aws_default_service_quota(self) -> str:
        """GetAWSDefaultServiceQuota."""
        return json.dumps({"Quota": self._shown(self._named(in_force=False))})

    def request_service_quota_increase(self) -> str:
        """RequestServiceQuotaIncrease, approved at once."""
        quota, now = self._named(in_force=True), datetime.now(UTC).timestamp()
        wanted = float(self._get_param("DesiredValue"))
        self.sandbox.raised[quota.code] = max(wanted, quota.value)
        shown = self._shown(quota)
        kept = ("ServiceCode", "ServiceName", "QuotaCode", "QuotaName", "QuotaArn", "GlobalQuota", "Unit")
        row = {name: shown[name] for name in kept}
        row |= {"Id": uuid4().hex, "DesiredValue": wanted, "Status": "APPROVED", "Created": now, "LastUpdated": now}
        return json.dumps({"RequestedQuota": row})

    def _named(self, *, in_force: bool) -> Quota:
        return self.sandbox.quota(self._get_param("ServiceCode"), self._get_param("QuotaCode"), in_force=in_force)

    def _list(self, *, in_force: bool) -> str:
        rows = self.sandbox.quotas(self._get_param("ServiceCode"), in_force=in_force)
        return self._page([self._shown(quota) for quota in rows], "Quotas")

    def _shown(self, quota: Quota) -> dict[str, Any]:
        return quota.described(self.sandbox.region_name, self.sandbox.account_id)

    def _page(self, rows: list[Any], key: str) -> str:
        size, token = self._get_param("MaxResults"), self._get_param("NextToken")
        answer = page(rows, key, size=size, token=token, default=PAGE)
        return json.dumps({name[0].upper() + name[1:]: value for name, value in answer.items()})


class QuotasController:
    """Nothing moves by itself here."""

    def step(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to stop."""


def install(world: World) -> Controller:  # noqa: ARG001 (every service installs alike)
    """Put our backend and answers in moto's place, before the first request."""
    extend("service-quotas", SandboxServiceQuotas)
    on_each_path("servicequotas", SandboxServiceQuotasResponse)
    return QuotasController()
