"""What can be chosen about a sandbox, and how it reports back to its owner."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Self

from pytest_envdr.errors import UsageError
from pytest_envdr.settings import QUEUES, TERRAFORM_LOCKS

SPEED = 10.0
TENANTS = 20
QUEUE = "redis"
TERRAFORM_LOCK = "file"


@dataclass(frozen=True)
class Options:
    """A sandbox's options.

    Attributes:
        speed: AWS-side delays are divided by this.
        tenants: how many tenants, each with a database of its own.
        queue: where the workers take their jobs from: redis or sqs.
        terraform_lock: what locks the state of the stack's Terraform: file or table.
        port: the API's port on 127.0.0.1; 0 takes any free one.
        cache: where database templates are kept between runs; empty for nowhere.

    Raises:
        UsageError: a value is out of range.
    """

    speed: float = SPEED
    tenants: int = TENANTS
    queue: str = QUEUE
    terraform_lock: str = TERRAFORM_LOCK
    port: int = 0
    cache: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.speed <= 1000:
            raise UsageError(f"The sandbox's speed must be from 1 (true to life) to 1000, not {self.speed:g}.")
        if not 1 <= self.tenants <= 2000:
            raise UsageError(f"The sandbox has from 1 to 2000 tenants, not {self.tenants}.")
        if self.queue not in QUEUES:
            raise UsageError(f"The sandbox's queue is one of {', '.join(QUEUES)}, not {self.queue!r}.")
        if self.terraform_lock not in TERRAFORM_LOCKS:
            known = ", ".join(TERRAFORM_LOCKS)
            raise UsageError(f"The lock of the sandbox's Terraform is one of {known}, not {self.terraform_lock!r}.")
        if not 0 <= self.port <= 65535:
            raise UsageError(f"A port is from 0 (any free one) to 65535, not {self.port}.")

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))
