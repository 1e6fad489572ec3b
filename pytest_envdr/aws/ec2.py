"""EC2: security groups of a drill's own; the address ranges of a VPC."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_envdr.aws import Act
from pytest_envdr.errors import NotFound
from pytest_envdr.journal import Inverse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Journal


@dataclass(frozen=True)
class SecurityGroup:
    """A security group."""

    id: str
    name: str
    vpc: str
    tags: Mapping[str, str]


def security_groups(aws: Aws, name: str) -> list[SecurityGroup]:
    """The security groups of a name, of whatever VPC."""
    rows = aws.pages(
        "ec2.DescribeSecurityGroups",
        "SecurityGroups",
        what=f"Security group {name} cannot be looked for",
        Filters=[{"Name": "group-name", "Values": [name]}],
    )
    return [
        SecurityGroup(
            row["GroupId"],
            row["GroupName"],
            row.get("VpcId", ""),
            {one["Key"]: one["Value"] for one in row.get("Tags", [])},
        )
        for row in rows
    ]


def cidrs(aws: Aws, vpc: str) -> list[str]:
    """The address ranges (IPv4) of a VPC.

    Raises:
        NotFound: there is no such VPC.
    """
    row = aws.call("ec2.DescribeVpcs", what=f"VPC {vpc} cannot be read", VpcIds=[vpc])["Vpcs"][0]
    return [one["CidrBlock"] for one in row.get("CidrBlockAssociationSet", [])] or [row["CidrBlock"]]


def create_security_group(
    aws: Aws, journal: Journal, *, name: str, vpc: str, open_to: Mapping[int, Sequence[str]], tags: Mapping[str, str]
) -> str:
    """A security group that lets in who is named, and its own members; its id.

    Args:
        aws: the account.
        journal: where its deletion is written first.
        name: its name.
        vpc: where.
        open_to: port to CIDRs and ids of security groups; its members reach one another at the same ports.
        tags: its tags.
    """
    inverse = Inverse(
        "ec2.DeleteSecurityGroup",
        {"GroupName": name, "exercise": journal.header.exercise},
        f"no security group {name}",
    )
    listed = [{"Key": key, "Value": value} for key, value in {"Name": name, **tags}.items()]
    act = Act(
        "ec2.CreateSecurityGroup",
        {
            "GroupName": name,
            "Description": "a restored copy: reached by its drill alone",
            "VpcId": vpc,
            "TagSpecifications": [{"ResourceType": "security-group", "Tags": listed}],
        },
        inverse,
        f"Security group {name} cannot be created",
    )
    group = str(aws.act(journal, act, kept=lambda answer: {"GroupId": answer["GroupId"]})["GroupId"])
    aws.act(
        journal,
        Act(
            "ec2.AuthorizeSecurityGroupIngress",
            {"GroupId": group, "IpPermissions": [_permission(port, [*whom, group]) for port, whom in open_to.items()]},
            Inverse.healed(f"security group {name} is the drill's own, and goes"),
            f"Security group {name} cannot be opened",
        ),
    )
    return group


def existing_group(aws: Aws, name: str, *, exercise: str) -> SecurityGroup | None:
    """The group of that name that an exercise made; None where there is none."""
    try:
        found = security_groups(aws, name)
    except NotFound:
        return None
    return next((group for group in found if group.tags.get("envdr:exercise") == exercise), None)


def _permission(port: int, whom: Sequence[str]) -> dict[str, Any]:
    groups = [one for one in whom if one.startswith("sg-")]
    networks = [ipaddress.ip_network(one, strict=False) for one in whom if not one.startswith("sg-")]
    permission: dict[str, Any] = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port}
    permission["UserIdGroupPairs"] = [{"GroupId": group} for group in groups]
    permission["IpRanges"] = [{"CidrIp": str(one)} for one in networks if one.version == 4]
    permission["Ipv6Ranges"] = [{"CidrIpv6": str(one)} for one in networks if one.version == 6]
    return {key: value for key, value in permission.items() if value}
