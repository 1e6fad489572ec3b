"""The stack file: what is under test, where it is, and what is expected of it.

TOML, read into frozen values. A wrong key, a wrong type or a missing table is one message that names the file and the
key. Without a stack file the embedded sandbox starts and writes its own, in this same form.
"""

from __future__ import annotations

import tomllib
from datetime import date  # noqa: TC003 (pydantic reads annotations at run time)
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Discriminator,
    Field,
    PositiveFloat,
    Tag,
    ValidationError,
    field_validator,
)

from pytest_envdr.errors import StackFileError
from pytest_envdr.scenarios import SCENARIOS
from pytest_envdr.tables import (
    Backup,
    BadDeployment,
    Database,
    DrillTenant,
    Maintenance,
    Provisioner,
    Queue,
    Row,
    Secondary,
    Terraform,
)


class _Request(Row):
    """What every probe has: the load balancer's `url`, the `host` it routes by (default: the URL's), a `path`."""

    url: str
    host: str | None = None


class HttpProbe(_Request):
    """A request that writes a value and reads it back: POST {"value": v} answers 200 {"value": v, ...}."""

    kind: Literal["http"] = "http"
    path: str = "/dr/probe"


class WebSocketProbe(_Request):
    """A handshake, then the text frame {"event": "dr:probe", "data": {"value": v}}, answered from the database."""

    kind: Literal["websocket"] = "websocket"
    path: str = "/app/envelope"


class JobProbe(_Request):
    """A job put through the queue: POST {"value": v}; GET <path>/<v> answers {"done_at": seconds or null}."""

    kind: Literal["job"] = "job"
    path: str = "/dr/jobs"
    within_seconds: PositiveFloat = 5
    """How long a job may take before it counts as not done."""


class HeartbeatProbe(_Request):
    """The scheduler's own work: GET answers {"sequence": n, "written_at": seconds}; a new number is a good answer."""

    kind: Literal["heartbeat"] = "heartbeat"
    path: str = "/dr/heartbeat"
    within_seconds: PositiveFloat = 5
    """How old the newest heartbeat may be before the service counts as down."""


def _kind(row: Any) -> str:
    """Which probe a table is; without a `kind` it is HTTP (pydantic's own discriminators know no default)."""
    return str(row.get("kind", "http") if isinstance(row, dict) else getattr(row, "kind", ""))


Probe = Annotated[
    Annotated[HttpProbe, Tag("http")]
    | Annotated[WebSocketProbe, Tag("websocket")]
    | Annotated[JobProbe, Tag("job")]
    | Annotated[HeartbeatProbe, Tag("heartbeat")],
    Discriminator(
        _kind,
        custom_error_type="kind",
        custom_error_message="a table is needed whose kind is 'http', 'job', 'heartbeat' or 'websocket'",
    ),
]


class Service(Row):
    """One ECS service.

    Attributes:
        name: its name in ECS.
        cluster: its cluster.
        probe: how a client outside tells that it works.
        alarms: those that must fire when the service is down altogether.
        error_alarms: others that concern it; what they do is recorded.
    """

    name: str
    cluster: str
    probe: Probe
    alarms: tuple[str, ...] = ()
    error_alarms: tuple[str, ...] = ()


class Notifications(Row):
    """Where alarms go: the SNS topic's ARN, and the endpoints that must be subscribed to it."""

    topic: str
    subscribers: tuple[str, ...] = ()


class Objective(Row):
    """What is promised for a scenario, in wall seconds.

    Attributes:
        rto_seconds: from the fault to verified and holding.
        rpo_seconds: how much data may be lost; None where the scenario can lose none by its nature.
        detect_seconds: from the fault to the alarm's message at a subscriber; where it is None, the bound that the
            alarm's own configuration gives is waited for (aws-semantics 10.2.2).
        rpo_seconds_from: what is promised otherwise for one source of recovery ("automated", "manual",
            "point-in-time", "backup", "versions"): a daily snapshot loses more than a point in time.
    """

    rto_seconds: PositiveFloat
    rpo_seconds: Annotated[float, Field(ge=0)] | None = None
    detect_seconds: PositiveFloat | None = None
    rpo_seconds_from: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)

    def rpo_of(self, source: str) -> float | None:
        """What is promised where recovery starts from `source`."""
        return self.rpo_seconds_from.get(source, self.rpo_seconds)


class Approval(Row):
    """Who approved a scenario's execution against this stack, under which reference, until when.

    `allows` names what goes further than the scenario itself: "swap" a recovered tenant's database in, "merge"
    recovered objects into the tenant's bucket, "cutover" the services to a restored instance, "reboot" the database or
    the cache while there is work in the queue, "lose_queue": jobs of others that a cache loses when it restarts,
    "state": the stack's own Terraform state is lost, and not a copy of it.
    """

    by: str
    reference: str = ""
    until: date | None = None
    allows: tuple[Literal["swap", "merge", "cutover", "reboot", "lose_queue", "state"], ...] = ()


class Credentials(Row):
    """Static credentials; meant for an endpoint that checks none. An account uses `profile` or the environment."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""


class Role(Row):
    """One row of the plan's contact matrix."""

    primary: str
    backup: str = ""


Table = Literal[
    "backup",
    "bad_deployment",
    "database",
    "drill_tenant",
    "maintenance",
    "provisioner",
    "queue",
    "secondary",
    "terraform",
]
"""Tables that only some scenarios need."""


class Stack(Row):
    """A stack file's content.

    Attributes:
        path: where it was read from.
        name: what the stack is called in the report.
        kind: `sandbox` or `aws`; data for the renderers and for clearance, nothing else may ask.
        endpoint: the API's URL; None for AWS itself.
        account: the account id that the credentials must belong to.
        region, standby_region: where the stack stands, and where it would be built again.
        speed: what AWS-side delays are divided by; a statement for the report.
        version: what stands behind the API, for the report.
        database, backup, maintenance, drill_tenant, bad_deployment, provisioner, queue, secondary, terraform: what only
            some scenarios need; `Stack.needs` tells what is missing.
    """

    path: Path = Path("<memory>")
    name: str
    kind: Literal["sandbox", "aws"]
    endpoint: str | None = None
    account: Annotated[str, Field(pattern=r"^\d{12}$")]
    region: str
    standby_region: str | None = None
    speed: PositiveFloat = 1
    version: str = ""
    profile: str | None = None
    credentials: Credentials | None = None
    services: dict[str, Service] = Field(min_length=1)
    notifications: Notifications
    objectives: dict[str, Objective] = Field(default_factory=dict)
    runbooks: dict[str, str] = Field(default_factory=dict)
    approvals: dict[str, Approval] = Field(default_factory=dict)
    roles: dict[str, Role] = Field(default_factory=dict)
    database: Database | None = None
    backup: Backup | None = None
    maintenance: Maintenance | None = None
    drill_tenant: DrillTenant | None = None
    bad_deployment: BadDeployment | None = None
    provisioner: Provisioner | None = None
    queue: Queue | None = None
    terraform: Terraform | None = None
    secondary: Secondary | None = None

    @field_validator("objectives", "runbooks", "approvals")
    @classmethod
    def _known_scenarios(cls, rows: dict[str, object]) -> dict[str, object]:
        unknown = sorted(set(rows) - set(SCENARIOS))
        if unknown:
            raise ValueError(f"no such scenario: {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
        return rows

    def beside(self, path: str) -> Path:
        """A path that the stack file names: a relative one starts where the file lies."""
        return self.path.absolute().parent / Path(path).expanduser()

    def needs(self, *tables: Table) -> None:
        """Refuse to begin without tables that a drill reads.

        Raises:
            StackFileError: naming those that are missing.
        """
        missing = [f"[{table}]" for table in tables if getattr(self, table) is None]
        if missing:
            raise StackFileError(
                f"The stack file lacks {', '.join(missing)}, which this drill needs.\nLooked at: {self.path}\n"
                "To go on: `envdr sandbox --stack-file example.toml` writes a complete one."
            )


def read(path: Path) -> Stack:
    """The stack that a file describes.

    Raises:
        StackFileError: the file cannot be read, is not TOML, or a key is wrong; names file, key and remedy.
    """
    try:
        content = tomllib.loads(path.read_text())
    except OSError as error:
        raise StackFileError(f"The stack file cannot be read: {error.strerror}.\nLooked at: {path}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StackFileError(f"The stack file is not TOML: {error}.\nLooked at: {path}") from error
    try:
        return Stack(**{**content, "path": path})
    except (ValidationError, TypeError) as error:
        raise StackFileError(_explained(path, error)) from error


def _explained(path: Path, error: ValidationError | TypeError) -> str:
    if isinstance(error, TypeError):
        return f"The stack file cannot be used: {error}.\nLooked at: {path}"
    lines = [f"  {'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}" for problem in error.errors()]
    return (
        "The stack file cannot be used:\n"
        + "\n".join(lines)
        + f"\nLooked at: {path}\nTo go on: `envdr sandbox --stack-file example.toml` writes a complete one."
    )
