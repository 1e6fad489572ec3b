"""The names and sizes of the embedded stack, used by the seed and the stack file it writes."""

from __future__ import annotations

from dataclasses import dataclass

ACCOUNT = "123456789012"
REGION = "eu-west-1"
STANDBY_REGION = "eu-central-1"
PREFIX = "envelope-prod"
CLUSTER = "envelope-prod-cluster"
DATABASE = "envelope-prod-db"
SECRET = "envelope-prod/db"  # noqa: S105 (the secret's name)
CACHE = "envelope-prod-redis"
JOBS, DEAD_JOBS = "envelope-prod-jobs", "envelope-prod-jobs-dlq"
STATE_BUCKET, STATE_KEY = f"envelope-terraform-state-{ACCOUNT}", "prod/terraform.tfstate"
STATE_LOCKS = "envelope-terraform-locks"
VAULT, PLAN = "envelope-prod", "envelope-prod-daily"
BACKUP_ROLE = "envelope-prod-backup"
BUS = "envelope-prod"
PROVISIONER = "envelope-prod-tenant-provisioner"
TENANT_RULE, TENANT_ARCHIVE = "envelope-prod-tenant-created", "envelope-prod-tenant-events"
UNMADE_BUCKETS, UNDELIVERED_TENANTS = "envelope-prod-tenant-provisioner-dlq", "envelope-prod-tenant-created-dlq"
TENANT_BUCKET_PREFIX = "envelope-prod-tenant-"
TOPIC = "envelope-prod-alarms"
ONCALL = "envelope-prod-oncall"
PUBLIC, INTERNAL = "envelope-prod-public", "envelope-prod-internal"
REPOSITORY = "envelope"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
KEY = "alias/envelope-prod"
"""The standby Region's key, which the copies there are encrypted with."""
VERSION, NEXT_VERSION = "1.0.0", "1.0.1"
IMAGE = f"{REGISTRY}/{REPOSITORY}:{VERSION}"
PORT = 8000
"""What containers listen on."""
LISTENER_PORT = 8080
"""What the load balancers listen on: not 80, which only root may bind."""
MESSAGE_BYTES = "262144"
"""The largest message of each queue, in SQS's own form: what Terraform makes one with, less than SQS's default."""
METRICS = "Envelope"
"""The CloudWatch namespace of the application's own metrics."""


MANAGED = {"managed-by": "terraform"}
"""The tag of what the Terraform modules describe."""
TAGS = [{"Key": key, "Value": value} for key, value in MANAGED.items()]
LOWER_TAGS = [{"key": key, "value": value} for key, value in MANAGED.items()]
"""The same as most services take it, and as the container and build services do."""


@dataclass(frozen=True)
class Service:
    """One ECS service: `load_balancer` is None for those without a port; `scales` makes it a scalable target."""

    word: str
    desired: int
    load_balancer: str | None = None
    scales: bool = False

    @property
    def name(self) -> str:
        return f"{PREFIX}-{self.word}"

    @property
    def host(self) -> str:
        """The host name that the load balancer routes by."""
        return f"{self.word}.envelope.test"


SERVICES = (
    Service("api", 2, PUBLIC, scales=True),
    Service("worker", 2, scales=True),
    Service("scheduler", 1),
    Service("reverb", 1, PUBLIC),
    Service("tenant", 2, PUBLIC, scales=True),
    Service("hq", 1, INTERNAL),
)
