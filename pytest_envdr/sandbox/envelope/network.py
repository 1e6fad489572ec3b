"""VPC, subnets and security groups. The VPC's CIDR is the sandbox's own loopback range, so addresses in it are real."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.envelope.names import PORT, PREFIX, TAGS

if TYPE_CHECKING:
    from pytest_envdr.sandbox.envelope.account import Account

TIERS = ("public", "private", "data")


@dataclass(frozen=True)
class Network:
    """Ids: of the VPC, of the subnets by `<tier>-<a|b>`, of the security groups by tier."""

    vpc: str
    subnets: dict[str, str]
    groups: dict[str, str]

    def tier(self, tier: str) -> list[str]:
        """The two subnets of a tier."""
        return [self.subnets[f"{tier}-a"], self.subnets[f"{tier}-b"]]


def create(account: Account) -> Network:
    """The VPC with what is in it."""
    ec2 = account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock=str(account.world.network), TagSpecifications=_named("vpc", PREFIX))["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnets = {
        f"{tier}-{zone}": _subnet(account, vpc, number=2 * row + column, name=f"{tier}-{zone}", zone=zone)
        for row, tier in enumerate(TIERS)
        for column, zone in enumerate("ab")
    }
    return Network(vpc, subnets, _security_groups(ec2, vpc))


def _subnet(account: Account, vpc: str, *, number: int, name: str, zone: str) -> str:
    answer = account.client("ec2").create_subnet(
        VpcId=vpc,
        CidrBlock=str(account.world.subnet(number)),
        AvailabilityZone=f"{account.world.region}{zone}",
        TagSpecifications=_named("subnet", f"{PREFIX}-{name}"),
    )
    return str(answer["Subnet"]["SubnetId"])


def _security_groups(ec2: Any, vpc: str) -> dict[str, str]:
    groups = {
        tier: str(
            ec2.create_security_group(
                GroupName=f"{PREFIX}-{tier}",
                Description=f"{PREFIX} {tier} tier",
                VpcId=vpc,
                TagSpecifications=[{"ResourceType": "security-group", "Tags": TAGS}],
            )["GroupId"]
        )
        for tier in TIERS
    }
    for inner, outer, port in (("private", "public", PORT), ("data", "private", 3306), ("data", "private", 6379)):
        ec2.authorize_security_group_ingress(
            GroupId=groups[inner],
            IpPermissions=[
                {
                    "IpProtocol": "tcp",
                    "FromPort": port,
                    "ToPort": port,
                    "UserIdGroupPairs": [{"GroupId": groups[outer]}],
                }
            ],
        )
    return groups


def _named(kind: str, name: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": name}, *TAGS]}]
