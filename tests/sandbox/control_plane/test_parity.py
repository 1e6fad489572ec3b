"""What a parity check asks of two Regions: quotas, engine versions and classes, each Region by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import rds, service_quotas
from pytest_envdr.sandbox.data_plane.mariadb import version
from tests.sandbox.control_plane.served import Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE, THERE = "eu-west-1", "eu-central-1"
INSTANCES, VCPUS = "L-7B6409FD", "L-3032A538"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory, modules = tmp_path_factory.mktemp("parity"), {"rds": rds, "service-quotas": service_quotas}
    with serving(
        directory, modules, region=HERE, network="127.27.0.0/16", speed=100, beside=(THERE, "127.28.0.0/16")
    ) as served:
        yield served


@pytest.fixture(scope="module")
def there(served: Served) -> Served:
    assert served.beside is not None
    return served.beside


def test_a_quota_is_raised_in_its_region_alone(served: Served, there: Served) -> None:
    """The value in force grows where it was asked for; the default, and the other Region, stay as they are."""
    here, other = served.client("service-quotas"), there.client("service-quotas")
    wanted = {"ServiceCode": "fargate", "QuotaCode": VCPUS}
    before = here.get_service_quota(**wanted)["Quota"]
    assert before["QuotaArn"].split(":")[3] == HERE
    assert here.request_service_quota_increase(**wanted, DesiredValue=100.0)["RequestedQuota"]["Status"] == "APPROVED"
    assert here.get_service_quota(**wanted)["Quota"]["Value"] == 100
    assert here.get_aws_default_service_quota(**wanted)["Quota"]["Value"] == before["Value"]
    assert other.get_service_quota(**wanted)["Quota"]["Value"] == before["Value"]


def test_quotas_are_listed(served: Served) -> None:
    """Each service has its own, in pages; RDS has the limit that it keeps; what there is not is NoSuchResource."""
    client = served.client("service-quotas")
    services = [row["ServiceCode"] for row in client.list_services()["Services"]]
    assert {"ecs", "rds", "vpc", "elasticloadbalancing", "fargate"} <= set(services)
    for service in services:
        pages = client.get_paginator("list_service_quotas").paginate(
            ServiceCode=service, PaginationConfig={"PageSize": 2}
        )
        codes = [quota["QuotaCode"] for page in pages for quota in page["Quotas"]]
        assert len(codes) == len(set(codes)) >= 1
    kept = served.client("rds").describe_account_attributes()["AccountQuotas"]
    quota = client.get_service_quota(ServiceCode="rds", QuotaCode=INSTANCES)["Quota"]
    assert {row["AccountQuotaName"]: row["Max"] for row in kept}["DBInstances"] == quota["Value"]
    for service, code in (("rds", "L-1"), ("nothing", INSTANCES)):
        with pytest.raises(ClientError, match="NoSuchResource"):
            client.get_service_quota(ServiceCode=service, QuotaCode=code)


def test_what_is_offered_can_be_ordered(there: Served) -> None:
    """The version that runs, on usual classes; not another version, class or engine."""
    client = there.client("rds")
    [row] = client.describe_db_engine_versions(Engine="mariadb")["DBEngineVersions"]
    assert (row["EngineVersion"], row["Status"]) == (version(), "available")

    def offered(**wanted: str) -> list[str]:
        pages = client.get_paginator("describe_orderable_db_instance_options").paginate(
            **{"Engine": "mariadb", "EngineVersion": version(), **wanted}
        )
        return [row["DBInstanceClass"] for page in pages for row in page["OrderableDBInstanceOptions"]]

    assert set(offered(DBInstanceClass="db.t4g.medium")) == {"db.t4g.medium"}
    assert {"db.t3.micro", "db.r6g.large"} <= set(offered())
    for nowhere in ({"DBInstanceClass": "db.m1.small"}, {"EngineVersion": "5.5.1"}, {"Engine": "oracle-ee"}):
        assert offered(**nowhere) == []
