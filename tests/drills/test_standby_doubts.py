"""What is otherwise in the standby Region and does not keep the stack from being built there: told, not refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_envdr import stack
from pytest_envdr.aws import Aws, rds
from pytest_envdr.drills import parity, restores, standby_documents, tenancy
from pytest_envdr.errors import Refused
from pytest_envdr.exercise import Charge
from pytest_envdr.sandbox.envelope import certificates
from pytest_envdr.sandbox.envelope.account import Account
from pytest_envdr.sandbox.envelope.names import REGION, STANDBY_REGION
from tests.drills import restored

if TYPE_CHECKING:
    from pathlib import Path

VPCS = {"ServiceCode": "vpc", "QuotaCode": "L-F678F1CE"}
MORE = 12.0


@pytest.fixture
def here(sandbox_stack: Path) -> Aws:
    """The primary Region."""
    return Aws(stack.read(sandbox_stack))


@pytest.fixture
def account(here: Aws) -> Account:
    """Plain boto3 of either Region."""
    return Account(type("Place", (), {"region": here.stack.region, "endpoint": here.stack.endpoint})())


def found(here: Aws) -> list[parity.Difference]:
    """All that is otherwise in the standby Region."""
    row, database = here.stack.secondary, here.stack.database
    assert row is not None
    assert database is not None
    return parity.differences(here, here.elsewhere(STANDBY_REGION), row, rds.instance(here, database.instance))


@pytest.mark.sweep
def test_an_instance_that_is_not_offered_there(here: Aws, tmp_path: Path) -> None:
    """Another version or class than the standby Region has: the database could not be restored, so it is refused."""
    row, database = here.stack.secondary, here.stack.database
    assert row is not None
    assert database is not None
    instance = rds.instance(here, database.instance)
    for asked in (replace(instance, engine_version="10.0.1"), replace(instance, instance_class="db.x1.32xlarge")):
        (lacking,) = parity.differences(here, here.elsewhere(STANDBY_REGION), row, asked)
        wanted = f"mariadb {asked.engine_version} on {asked.instance_class}"
        assert (lacking.name, lacking.there, lacking.prevents) == (wanted, "not offered", True)
        with restored.exercising(here.stack.path, tmp_path / lacking.name.replace(" ", "-")) as exercise:
            drill = exercise.drill(Charge("not offered", "regional_failover"))
            with pytest.raises(Refused, match="not offered there; to go on: Choose an instance class"):
                parity.check(drill, [lacking], stack=here.stack)
        assert [finding.id for finding in drill.failures] == ["region.instance-class"]


def test_a_certificate_that_is_missing(here: Aws, account: Account) -> None:
    """Each host without one fails the drill: to get one may take longer than a failover may. With it, all is well."""
    assert found(here) == []
    acm = account.client("acm", STANDBY_REGION)
    (row,) = acm.list_certificates()["CertificateSummaryList"]
    acm.delete_certificate(CertificateArn=row["CertificateArn"])
    try:
        lacking = found(here)
    finally:
        certificates.create(account, STANDBY_REGION)
    assert [(one.name, one.here, one.there) for one in lacking] == [
        (host, "ISSUED", "none") for host in certificates.HOSTS
    ]
    assert {(one.finding.id, one.finding.severity) for one in lacking} == {("region.certificate", "failure")}
    assert found(here) == []


def test_a_certificate_that_nobody_validated(here: Aws, account: Account) -> None:
    """One that was requested and waits is none that a load balancer takes."""
    acm = account.client("acm", STANDBY_REGION)
    (row,) = acm.list_certificates()["CertificateSummaryList"]
    acm.delete_certificate(CertificateArn=row["CertificateArn"])
    waiting = acm.request_certificate(DomainName=certificates.HOSTS[0], ValidationMethod="DNS")["CertificateArn"]
    try:
        lacking = found(here)
    finally:
        acm.delete_certificate(CertificateArn=waiting)
        certificates.create(account, STANDBY_REGION)
    assert lacking[0].there == "PENDING_VALIDATION"
    assert found(here) == []


def test_a_quota_that_was_raised_here_alone(here: Aws, account: Account) -> None:
    """What the primary was granted, nobody asked for in the standby Region: told, with both values."""
    quotas = {region: account.client("service-quotas", region) for region in (REGION, STANDBY_REGION)}
    granted = quotas[REGION].request_service_quota_increase(**VPCS, DesiredValue=MORE)["RequestedQuota"]
    assert granted["DesiredValue"] == MORE
    (lacking,) = found(here)
    quotas[STANDBY_REGION].request_service_quota_increase(**VPCS, DesiredValue=MORE)
    assert (lacking.name, lacking.here, lacking.there) == ("vpc/L-F678F1CE (VPCs per Region)", "12", "5")
    assert (lacking.finding.id, lacking.finding.severity) == ("region.quota", "warning")
    assert found(here) == []


def test_documents_that_are_in_the_primary_region(sandbox_stack: Path, tmp_path: Path) -> None:
    """The restored database names the primary's buckets: each tenant of one is named. None is where they are not."""
    with restored.exercising(sandbox_stack, tmp_path) as exercise:
        aws, database = exercise.aws, exercise.stack.database
        assert database is not None
        server = restores.source_server(aws, rds.instance(aws, database.instance))
        told = exercise.drill(Charge("told", "regional_failover"))
        standby_documents.check(aws, told, server, database, primary=REGION)
        quiet = exercise.drill(Charge("quiet", "regional_failover"))
        standby_documents.check(aws, quiet, server, database, primary=STANDBY_REGION)
        everyone = [one.slug for one in tenancy.tenants(server, database) if one.bucket]
    assert everyone
    assert [(one.id, one.severity, one.detail) for one in told.findings] == [
        ("region.documents", "warning", ", ".join(everyone))
    ]
    assert quiet.findings == []
