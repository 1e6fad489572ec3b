"""Where in the network an instance is put, when the request does not say, or says what cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.ec2.models import ec2_backends
from moto.rds.exceptions import InvalidParameterCombination, InvalidParameterValue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_envdr.sandbox.control_plane.rds.backend import SandboxRDS


def complete(backend: SandboxRDS, settings: dict[str, Any]) -> None:
    """Fill in security groups and PubliclyAccessible as CreateDBInstance's reference says.

    Without security groups it is the default one of the VPC that the subnet group is in. Unless the request says
    otherwise an instance is public where its VPC has an internet gateway.

    Raises:
        RDSClientError: a group does not exist, or is in another VPC than the subnets.
    """
    ec2 = ec2_backends[backend.account_id][backend.region_name]
    name = settings.get("db_subnet_group_name")
    vpc = backend.describe_db_subnet_groups(name)[0].vpc_id if name else ec2.default_vpc.id
    groups = settings.get("vpc_security_group_ids") or []
    check_groups(backend, groups, vpc)
    default = ec2.get_default_security_group(vpc)
    if not groups and default:
        settings["vpc_security_group_ids"] = [default.id]
    if settings.get("publicly_accessible") is None:
        settings["publicly_accessible"] = bool(ec2.describe_internet_gateways(filters={"attachment.vpc-id": [vpc]}))


def check_groups(backend: SandboxRDS, groups: Iterable[str], vpc: str | None) -> None:
    """Raise InvalidParameterValue or InvalidParameterCombination for groups that are not there or not in `vpc`.

    None is the default VPC.
    """
    ec2 = ec2_backends[backend.account_id][backend.region_name]
    vpc = vpc or ec2.default_vpc.id
    for group in groups:
        found = ec2.get_security_group_from_id(group)
        if found is None:
            raise InvalidParameterValue(f"Invalid security group , groupId= {group}, groupName=.")
        if found.vpc_id != vpc:
            raise InvalidParameterCombination(
                "The DB instance and EC2 security group are in different VPCs. "
                f"The DB instance is in {vpc} and the EC2 security group is in {found.vpc_id}"
            )
