"""EC2: a security group of a drill's own, open to whom it names and to its members."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_envdr import undo
from pytest_envdr.aws import Aws, ec2
from pytest_envdr.journal import Header, Journal
from tests import account

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An open journal."""
    with Journal.open(
        tmp_path / "journal", Header("ex-8", account.ACCOUNT, account.REGION, account.endpoint())
    ) as journal:
        yield journal


def test_a_group_of_its_own(journal: Journal) -> None:
    """Open at each port to CIDRs, groups and its members, and to nobody else; undone, it is gone, and a group of the
    same name in another VPC is not."""
    aws, plain = Aws(account.stack(), journal), account.plain("ec2")
    vpc, other = (plain.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"] for _ in range(2))
    friend = plain.create_security_group(GroupName=account.unique("friend"), Description="a", VpcId=vpc)["GroupId"]
    name = account.unique("envdr-group")
    made = ec2.create_security_group(
        aws,
        journal,
        name=name,
        vpc=vpc,
        open_to={3306: ["10.0.0.0/8", "fd00::/8", friend], 8000: ["10.0.0.0/8"]},
        tags={"envdr:exercise": "ex-8"},
    )
    plain.create_security_group(GroupName=name, Description="somebody else's", VpcId=other)
    (shown,) = plain.describe_security_groups(GroupIds=[made])["SecurityGroups"]
    first, second = sorted(shown["IpPermissions"], key=lambda one: int(one["FromPort"]))
    assert (first["FromPort"], first["ToPort"], first["IpProtocol"]) == (3306, 3306, "tcp")
    assert {one["GroupId"] for one in first["UserIdGroupPairs"]} == {friend, made}
    assert [one["CidrIp"] for one in first["IpRanges"]] == ["10.0.0.0/8"]
    assert [one["CidrIpv6"] for one in first["Ipv6Ranges"]] == ["fd00::/8"]
    assert [one["GroupId"] for one in second["UserIdGroupPairs"]] == [made]
    assert len(ec2.security_groups(aws, name)) == 2
    undo.replay(aws, journal)
    assert [group.vpc for group in ec2.security_groups(aws, name)] == [other]
