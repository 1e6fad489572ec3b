"""Elastic network interfaces of tasks, as EC2 shows them (`describe_network_interfaces`) and as the task binds them."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from moto.ec2.exceptions import InvalidSubnetIdError
from moto.ec2.models import ec2_backends

from pytest_envdr.sandbox.control_plane.ecs.addresses import Addresses
from pytest_envdr.sandbox.control_plane.ecs.errors import TaskFailedToStart
from pytest_envdr.sandbox.control_plane.ecs.identifiers import event_id
from pytest_envdr.sandbox.control_plane.ecs.task import Interface

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_plane.ecs.task import Task
    from pytest_envdr.sandbox.world import World


class Interfaces:
    """Makes and removes them; spreads tasks over the subnets they may stand in."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._addresses = Addresses()
        self._turn: dict[str, int] = {}

    def attach(self, task: Task) -> None:
        """Give the task an address in the next of its subnets; nothing for a task without network configuration.

        Raises:
            TaskFailedToStart: the subnet is full, or gone.
        """
        if not task.order.subnets:
            return
        turn = self._turn.get(task.order.group, 0)
        self._turn[task.order.group] = turn + 1
        subnet_id = task.order.subnets[turn % len(task.order.subnets)]
        ec2 = ec2_backends[self._world.account][self._world.region]
        try:
            subnet = ec2.get_subnet(subnet_id)
        except InvalidSubnetIdError as error:  # deleted since the service was made
            raise TaskFailedToStart.no_subnet(error.message) from error
        address = self._addresses.lease(IPv4Network(subnet.cidr_block))
        if address is None:
            raise TaskFailedToStart.no_address(subnet_id)
        dns_name = f"ip-{address.replace('.', '-')}.{self._world.region}.compute.internal"
        eni = ec2.create_network_interface(
            subnet=subnet,
            private_ip_address=address,
            group_ids=list(task.order.security_groups),
            description=f"arn:aws:ecs:{self._world.region}:{self._world.account}:attachment/{task.id}",
        )
        eni.status = "in-use"
        eni.private_dns_name = dns_name  # moto leaves it out in a VPC without DNS host names, and then cannot show it
        zone = subnet.availability_zone
        task.interface = Interface(eni.id, event_id(), subnet_id, zone, eni.mac_address, address, dns_name)

    def detach(self, task: Task) -> None:
        """Remove the interface: nothing of the task is alive any more."""
        if task.interface is None:
            return
        ec2_backends[self._world.account][self._world.region].enis.pop(task.interface.id, None)
        self._addresses.release(task.interface.address)
