"""What every part of the sandbox shares: who it is, how fast it runs, where its files and addresses are."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any

from pytest_envdr.sandbox.images import Images

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_envdr.sandbox.data_plane.mariadb_template import Content


FOUNDING = 1000
"""By how much faster the stack's past goes by."""


@dataclass
class World:
    """One sandboxed account in one Region.

    Attributes:
        account: the account id that the API answers with.
        region: the Region that the stack stands in.
        speed: AWS-side delays are divided by this; 1 is true to life.
        directory: where this sandbox keeps its files; removed when it ends.
        network: the VPC's CIDR, a /16 in 127.0.0.0/8 that no other sandbox on this machine has. An address in it is at
            once a task's network interface in the API and a real loopback address to bind.
        endpoint: the API's URL.
        images: what containers are started from, and the registries that hold it; one store for all Regions.
        storage: the file system that all tasks mount (EFS).
        contents: what a new database instance holds, by its identifier; one without an entry starts empty.
        bucket_contents: what makes a bucket's first content, by its name; called when its objects are first asked for.
        cache: where what takes long to make is kept between runs, for all sandboxes; None for nowhere.
        founding: the stack's past is being made up, such as its first backups.
        queue: where the stack's workers take their jobs from: redis or sqs.
        terraform_lock: what locks the state of the stack's Terraform: a file beside it, or a table.
        regions: the worlds of all Regions of the account, by name.
        cut_off_by: the experiments that keep everybody from reaching this Region.
    """

    account: str
    region: str
    speed: float
    directory: Path
    network: IPv4Network
    endpoint: str = ""
    images: Images = field(init=False)
    contents: dict[str, Content] = field(default_factory=dict)
    bucket_contents: dict[str, Callable[[], None]] = field(default_factory=dict)
    cache: Path | None = None
    founding: bool = False
    queue: str = "redis"
    terraform_lock: str = "file"
    regions: dict[str, World] = field(default_factory=dict, repr=False, compare=False)
    cut_off_by: set[str] = field(default_factory=set, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.regions[self.region] = self
        self.images = Images(self.directory / "images")

    def elsewhere(self, region: str, network: IPv4Network) -> World:
        """The same account in another Region, with files and addresses of its own."""
        own: dict[str, Any] = {"directory": self.directory / region, "contents": {}, "cut_off_by": set()}
        other = replace(self, region=region, network=network, **own)
        other.images = self.images
        return other

    @property
    def cut_off(self) -> bool:
        """Whether an experiment keeps everybody from reaching this Region."""
        return bool(self.cut_off_by)

    @property
    def storage(self) -> Path:
        """The directory that stands in for the file system which all tasks mount."""
        return self.directory / "efs"

    def scaled(self, seconds: float) -> float:
        """An AWS-side delay of `seconds`, as wall seconds in this sandbox."""
        return seconds / self.speed

    def taken(self, seconds: float) -> float:
        """The same for what takes its time, which it does not while the stack's past is made up."""
        return self.scaled(seconds) / (FOUNDING if self.founding else 1)

    def now(self) -> datetime:
        """The time, aware, UTC."""
        return datetime.now(UTC)

    def subnet(self, number: int) -> IPv4Network:
        """The VPC's `number`th /20: 0-1 public-a/b, 2-3 private-a/b, 4-5 data-a/b."""
        return list(self.network.subnets(new_prefix=20))[number]

    def address(self, subnet: int, host: int) -> str:
        """The `host`th address of a subnet; AWS keeps the first four and the last one to itself."""
        return str(IPv4Address(int(self.subnet(subnet).network_address) + host))
