"""The application in the tasks, each service as a process: real rows, real jobs, real outages."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import redis

from pytest_envdr.sandbox import programs
from pytest_envdr.sandbox.envelope import database
from pytest_envdr.waiting import wait_until
from tests.sandbox.application import Application, Task, running
from tests.sandbox.websocket import CLOSE, PING, PONG, TEXT, WebSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TENANTS = 3
WITH_PORT = ("api", "tenant", "hq", "reverb")


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    programs.require()
    with running(tmp_path_factory.mktemp("application"), network="127.208", tenants=TENANTS) as application:
        yield application


@pytest.fixture(scope="module")
def tasks(application: Application) -> dict[str, Task]:
    """A task of each service that has a port, answering."""
    tasks = {service: application.start(service, host) for host, service in enumerate(WITH_PORT, start=10)}
    for service, task in tasks.items():
        await_true(lambda task=task: answers(task), f"{service} up")  # type: ignore[misc]
    return tasks


@pytest.fixture(scope="module")
def worker(application: Application) -> Task:
    worker = application.start("worker", 20)
    await_true(worker.alive, "the worker's first beat")
    return worker


@pytest.fixture(scope="module")
def scheduler(application: Application) -> Task:
    scheduler = application.start("scheduler", 21)
    await_true(lambda: application.rows("SELECT 1 FROM dr_heartbeat LIMIT 1"), "the first heartbeat")
    return scheduler


def await_true(check: Callable[[], Any], what: str, deadline: float = 20.0) -> Any:
    return wait_until(check, what=what, deadline=deadline, interval=0.02, longest_interval=0.1)


def answers(task: Task) -> bool:
    try:
        return task.ask("/up").status == 200
    except (OSError, http.client.HTTPException):
        return False


def sequences(application: Application, schema: str) -> list[int]:
    return [row[0] for row in application.rows("SELECT sequence FROM dr_heartbeat ORDER BY sequence", schema=schema)]


def dispatch(task: Task, **more: Any) -> str:
    """Queue a job; its token."""
    token = str(uuid4())
    assert task.ask("/dr/jobs", {"value": token, **more}).status == 202
    return token


def done_at(task: Task, token: str) -> float | None:
    answer = task.ask(f"/dr/jobs/{token}").body
    assert answer["value"] == token
    return None if answer["done_at"] is None else float(answer["done_at"])


# What all services have


@pytest.mark.parametrize("service", WITH_PORT)
def test_health_is_shallow_unless_asked(tasks: dict[str, Task], application: Application, service: str) -> None:
    """/up answers 200 though the database does not; /up?deep=1 asks the database."""
    assert tasks[service].ask("/up").body["service"] == service
    assert tasks[service].ask("/up?deep=1").status == 200
    application.database.freeze()
    try:
        assert tasks[service].ask("/up").status == 200
        assert tasks[service].ask("/up?deep=1").status == 500
    finally:
        application.database.thaw()
    assert tasks[service].ask("/up?deep=1").status == 200


@pytest.mark.parametrize("service", ["api", "tenant", "hq"])
def test_probe_writes_a_row_and_reads_it_back(tasks: dict[str, Task], application: Application, service: str) -> None:
    """POST and GET /dr/probe answer the value from the database, which service and task, and which row."""
    task = tasks[service]
    posted, got = task.ask("/dr/probe", {"value": "tök 🎉"}), task.ask("/dr/probe?value=plain")
    for token, answer in (("tök 🎉", posted), ("plain", got)):
        assert answer.status == 200
        row = answer.body.pop("row")
        assert answer.body == {"value": token, "service": service, "task": task.address}
        assert application.rows("SELECT value, service FROM dr_probe WHERE id = %s", row) == [(token, service)]


@pytest.mark.parametrize("body", [{}, {"value": ""}, {"value": 7}, {"value": "x" * 192}, [], "text"])
def test_a_probe_without_a_token_is_refused(tasks: dict[str, Task], body: Any) -> None:
    """Anything but a token of 1 to 191 characters is a 422 that says so."""
    answer = tasks["api"].ask("/dr/probe", body)
    assert answer.status == 422
    assert "1 to 191 characters" in answer.body["message"]


def test_the_tables_of_the_drills_do_not_grow_for_ever(tasks: dict[str, Task], application: Application) -> None:
    """Once in a while, all but the newest 10,000 probe rows are dropped."""
    many = "INSERT INTO dr_probe (id, value, service, task) SELECT 988000 + seq, 'x', 'x', 'x' FROM seq_1_to_11998"
    application.rows(many)
    probed = [tasks["api"].ask(f"/dr/probe?value={number}").body["row"] for number in range(3)]
    assert probed == [999_999, 1_000_000, 1_000_001]
    assert application.rows("SELECT COUNT(*), MIN(id) FROM dr_probe") == [(10_001, 990_001)]


def test_a_page_says_which_server_answers(tasks: dict[str, Task], application: Application) -> None:
    """GET /dr/database: the server's own identity, and the value only if a row of its database holds exactly that."""
    [(server,)] = application.rows("SELECT CONCAT(@@server_id, '@', @@hostname, ':', @@port)")
    application.rows("INSERT INTO dr_probe (value, service, task) VALUES ('Only here', 'x', 'x'), ('newest', 'x', 'x')")
    before = application.rows("SELECT MAX(id) FROM dr_probe")
    for path, value in (("", "newest"), ("?value=Only%20here", "Only here"), ("?value=only%20here", None)):
        assert tasks["api"].ask(f"/dr/database{path}").body == {"server": server, "value": value}
    assert tasks["api"].ask("/dr/database?value=").status == 422
    assert application.rows("SELECT MAX(id) FROM dr_probe") == before, "it writes"


def test_an_error_of_the_database_is_an_error_of_the_page(tasks: dict[str, Task], application: Application) -> None:
    """While the database is gone a page answers 500 and the log has the reason in one line; then it answers again."""
    application.rows("RENAME TABLE dr_probe TO dr_probe_away")
    try:
        assert tasks["api"].ask("/dr/probe?value=x").status == 500
    finally:
        application.rows("RENAME TABLE dr_probe_away TO dr_probe")
    assert tasks["api"].ask("/dr/probe?value=x").status == 200
    [line] = [line for line in tasks["api"].lines() if "dr_probe' doesn't exist" in line]
    assert json.loads(line)["level_name"] == "ERROR"
    assert any("/dr/probe?value=x 500" in line for line in tasks["api"].lines())


def test_a_task_ends_at_once_when_told_to(application: Application) -> None:
    """SIGTERM ends an HTTP task and frees its address."""
    task = application.start("api", 30)
    await_true(lambda: answers(task), "the task up")
    task.process.signal(signal.SIGTERM)
    await_true(lambda: task.process.exit_code() is not None, "its end", deadline=5)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((task.address, 8000), 1)


def test_nothing_is_written_into_the_image(tasks: dict[str, Task]) -> None:
    """The application's directory has no storage of its own, and what the tasks cached lies in the shared one."""
    assert tasks
    assert not (database.APPLICATION / "storage").exists()
    assert not (database.APPLICATION / "bootstrap" / "cache").exists()


# Pages


def test_api_keeps_notes_and_knows_the_tenants(tasks: dict[str, Task], application: Application) -> None:
    """GET /api/tenants lists them; a note that was posted is a row and is shown."""
    api = tasks["api"]
    slugs = [tenant["slug"] for tenant in api.ask("/api/tenants").body["tenants"]]
    assert slugs == [tenant.slug for tenant in database.tenants(TENANTS)]
    assert api.ask("/api/tenants/globex").body["domains"] == ["globex.tenant.envelope.test"]
    posted = api.ask("/api/notes", {"body": "Grüße 💌"})
    assert posted.status == 201
    note = posted.body["note"]["id"]
    assert application.rows("SELECT body FROM notes WHERE id = %s", note) == [("Grüße 💌",)]
    assert api.ask(f"/api/notes/{note}").body["note"]["body"] == "Grüße 💌"
    assert note in [row["id"] for row in api.ask("/api/notes").body["notes"]]
    assert api.ask("/api/notes", {}).status == 422
    assert api.ask("/api/notes/999999").status == 404


def test_tenant_takes_orders_in_the_tenants_own_database(tasks: dict[str, Task], application: Application) -> None:
    """An order with lines is written to that tenant's database only, by path and by host name."""
    tenant, before = tasks["tenant"], application.rows("SELECT COUNT(*) FROM orders", schema="tenant_globex")
    items = [{"product_id": 1, "quantity": 2}, {"product_id": 5, "quantity": 1}]
    posted = tenant.ask("/t/acme/orders", {"customer_id": 7, "items": items, "note": "schnell 🏃"})
    assert posted.status == 201
    order = posted.body["order"]
    assert [line["quantity"] for line in order["items"]] == [2, 1]
    stored = application.rows("SELECT customer_id, note FROM orders WHERE id = %s", order["id"], schema="tenant_acme")
    assert stored == [(7, "schnell 🏃")]
    assert application.rows("SELECT COUNT(*) FROM orders", schema="tenant_globex") == before
    by_host = tenant.ask("/orders", host="acme.tenant.envelope.test").body
    assert (by_host["tenant"], by_host["orders"][0]["id"]) == ("acme", order["id"])
    assert tenant.ask("/t/nobody/orders").status == 404


def test_an_order_that_fails_leaves_nothing(tasks: dict[str, Task], application: Application) -> None:
    """An order of a product that there is not is refused, and rolled back whole."""
    before = application.rows("SELECT COUNT(*) FROM orders", schema="tenant_acme")
    items = [{"product_id": 1, "quantity": 1}, {"product_id": 9999, "quantity": 1}]
    assert tasks["tenant"].ask("/t/acme/orders", {"items": items}).status == 422
    assert application.rows("SELECT COUNT(*) FROM orders", schema="tenant_acme") == before


def test_hq_counts_in_every_tenants_database(tasks: dict[str, Task], application: Application) -> None:
    """The overview counts each tenant's rows; a changed plan is a changed row."""
    overview = tasks["hq"].ask("/hq/tenants").body
    assert overview["total"] == TENANTS
    for row in overview["tenants"]:
        counted = application.rows("SELECT COUNT(*) FROM orders", schema=row["database_name"])
        assert counted == [(row["orders"],)]
    changed = tasks["hq"].ask("/hq/tenants/acme/plan", {"plan": "freight"}).body["tenant"]
    assert (changed["plan"], changed["monthly_price"]) == ("freight", "499.00")
    assert tasks["hq"].ask("/hq/tenants/acme/plan", {"plan": "none"}).status == 422


def test_a_user_logs_in_to_one_tenant(tasks: dict[str, Task]) -> None:
    """With the right password a user of the tenant gets a token, which its page knows; it is none of another tenant's,
    and neither is a wrong password or somebody else's user."""
    task, said = tasks["tenant"], {"email": "zoe1@globex.example", "password": "globex1"}
    token = task.ask("/login", said, host="globex.tenant.envelope.test").body["token"]
    assert task.ask("/t/globex/me", token=token).body["user"]["email"] == "zoe1@globex.example"
    assert task.ask("/t/acme/me", token=token).status == 401
    assert task.ask("/t/globex/me", token="x" + token[1:]).status == 401
    assert task.ask("/t/globex/me").status == 401
    assert task.ask("/t/globex/login", said | {"password": "globex2"}).status == 401
    assert task.ask("/t/acme/login", said).status == 401
    assert task.ask("/t/globex/login", {}).status == 401


@pytest.fixture
def suspended(application: Application) -> Iterator[str]:
    """A tenant that is suspended."""
    application.rows("UPDATE tenants SET status = 'suspended' WHERE slug = 'globex'")
    yield "globex"
    application.rows("UPDATE tenants SET status = 'active' WHERE slug = 'globex'")


def test_a_suspended_tenant_is_quiet_and_the_others_are_served(
    tasks: dict[str, Task], application: Application, suspended: str
) -> None:
    """Its own pages answer 503 with Retry-After, its database is not even looked at; the others' pages are as ever."""
    for method, body in (("GET", None), ("POST", {})):
        answer = tasks["tenant"].ask(f"/t/{suspended}/orders", body, method=method)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert tasks["tenant"].ask("/t/acme/orders").status == 200
    application.rows("RENAME TABLE orders TO orders_away", schema=f"tenant_{suspended}")
    try:
        rows = {row["slug"]: row["orders"] for row in tasks["hq"].ask("/hq/tenants").body["tenants"]}
    finally:
        application.rows("RENAME TABLE orders_away TO orders", schema=f"tenant_{suspended}")
    assert rows.pop(suspended) is None
    assert all(rows.values())


def test_each_service_has_its_own_pages_only(tasks: dict[str, Task]) -> None:
    """One service does not answer the other's pages."""
    pages = {"api": "/api/tenants", "tenant": "/t/acme/orders", "hq": "/hq/tenants"}
    for service, task in tasks.items():
        for owner, path in pages.items():
            assert task.ask(path).status == (200 if owner == service else 404), (service, path)


# Jobs


def test_a_job_is_done_by_the_worker(tasks: dict[str, Task], application: Application, worker: Task) -> None:
    """A dispatched job's effect is a row that names the worker; an unknown token is not done."""
    token = dispatch(tasks["api"])
    await_true(lambda: done_at(tasks["api"], token), "the job done")
    row = application.rows("SELECT worker, runs FROM dr_jobs WHERE value = %s", token)
    assert row == [(worker.address, 1)]
    assert done_at(tasks["api"], "never-dispatched") is None
    assert any("Processed:  App\\Jobs\\RecordValue" in line for line in worker.lines())


def test_a_job_survives_its_workers_death(tasks: dict[str, Task], application: Application, worker: Task) -> None:
    """Killed in the midst of a job, a worker leaves it reserved; another one does it after `retry_after`."""
    assert worker.alive()
    worker.process.signal(signal.SIGSTOP)
    try:
        victim = application.start("worker", 22)
        token = dispatch(tasks["api"], seconds=3)
        started = "SELECT worker FROM dr_jobs WHERE value = %s AND started_at IS NOT NULL"
        await_true(lambda: application.rows(started, token) == [(victim.address,)], "the job started")
        victim.process.signal(signal.SIGKILL)
        keys = redis.Redis(application.redis.address)
        assert keys.zcard("envelope_database_queues:default:reserved") == 1
        assert done_at(tasks["api"], token) is None
    finally:
        worker.process.signal(signal.SIGCONT)
    await_true(lambda: done_at(tasks["api"], token), "the job done by the other worker", deadline=30)
    assert application.rows("SELECT worker, runs FROM dr_jobs WHERE value = %s", token) == [(worker.address, 2)]


def test_failed_jobs_are_listed_and_retried(tasks: dict[str, Task], application: Application, worker: Task) -> None:
    """A job that fails is in `failed_jobs`, `queue:failed` shows it, and `queue:retry` has it done."""
    assert worker.alive()
    application.rows("RENAME TABLE dr_jobs TO dr_jobs_away")
    try:
        application.rows("CREATE TABLE dr_jobs LIKE dr_jobs_away")
        application.rows("ALTER TABLE dr_jobs DROP COLUMN runs")
        token = dispatch(tasks["api"])
        await_true(lambda: application.rows("SELECT 1 FROM failed_jobs"), "the job failed")
        application.rows("DROP TABLE dr_jobs")
    finally:
        application.rows("RENAME TABLE dr_jobs_away TO dr_jobs")
    [(uuid,)] = application.rows("SELECT uuid FROM failed_jobs")
    assert uuid in application.artisan("queue:failed")
    application.artisan("queue:retry", uuid)
    await_true(lambda: done_at(tasks["api"], token), "the job done")
    assert application.artisan("queue:failed").strip() == "No failed jobs!"


def test_an_idle_worker_tells_that_it_works(worker: Task) -> None:
    """Embedded metrics come while there is nothing to do; each names its dimension, none more often than 2 Hz."""
    before = len(worker.metrics("WorkerLoops"))
    await_true(lambda: len(worker.metrics("WorkerLoops")) >= before + 3, "three more lines")
    rows = worker.metrics("WorkerLoops")[before:]
    assert rows[0]["Service"] == "worker"
    [directive] = rows[0]["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"]) == ("Envelope", [["Service"]])
    assert {metric["Name"] for metric in directive["Metrics"]} == {"WorkerLoops", "JobsProcessed"}
    stamps = [row["_aws"]["Timestamp"] for row in rows]
    assert all(later - earlier >= 500 for earlier, later in pairwise(stamps))


def test_a_frozen_worker_is_unhealthy(worker: Task) -> None:
    """The container health check fails some seconds after SIGSTOP, and passes again after SIGCONT."""
    worker.process.signal(signal.SIGSTOP)
    try:
        await_true(lambda: not worker.alive(), "the health check failing")
    finally:
        worker.process.signal(signal.SIGCONT)
    await_true(worker.alive, "the health check passing")


def test_workers_end_when_told_to_restart(application: Application, worker: Task) -> None:
    """`queue:restart` ends a worker with code 0 once it is idle; ECS starts the next one."""
    told = application.start("worker", 23)
    await_true(lambda: told.metrics("WorkerLoops"), "the worker's first loop")
    worker.process.signal(signal.SIGSTOP)
    try:
        application.artisan("queue:restart")
        await_true(lambda: told.process.exit_code() == 0, "its end")
        redis.Redis(application.redis.address, db=1).flushdb()
    finally:
        worker.process.signal(signal.SIGCONT)


# Heartbeat


def test_heartbeats_are_gapless_in_every_database(application: Application, scheduler: Task) -> None:
    """The numbers have no gap, in the central and in every tenant database alike."""
    scheduler.process.signal(signal.SIGSTOP)
    try:
        central = sequences(application, "central")
        assert central == list(range(1, len(central) + 1))
        for tenant in database.tenants(TENANTS):
            assert sequences(application, tenant.database) == central
    finally:
        scheduler.process.signal(signal.SIGCONT)


def test_the_heartbeat_can_be_asked_for(tasks: dict[str, Task], application: Application, scheduler: Task) -> None:
    """GET /dr/heartbeat tells the newest number, when it was written and in how many databases."""
    assert scheduler.alive()
    first = tasks["api"].ask("/dr/heartbeat").body
    assert first["databases"] == TENANTS + 1
    assert abs(first["written_at"] - time.time()) < 60
    await_true(lambda: tasks["api"].ask("/dr/heartbeat").body["sequence"] > first["sequence"], "a later one")
    assert first["sequence"] in sequences(application, "central")


def test_heartbeats_go_on_after_the_database_died(application: Application, scheduler: Task) -> None:
    """Over a killed and restarted database no number is left out, and the metric told of the outage with zeros."""
    [(before,)] = application.rows("SELECT MAX(sequence) FROM dr_heartbeat")
    application.database.kill()
    await_true(lambda: application.database.exit_code() is not None, "the database's end")
    await_true(lambda: any(not row["HeartbeatsWritten"] for row in scheduler.metrics("HeartbeatsWritten")), "a zero")
    application.database.start()
    application.database.wait_until_ready(deadline=30)
    newest = "SELECT MAX(sequence) FROM dr_heartbeat"
    await_true(lambda: application.rows(newest)[0][0] > before + 3, "more heartbeats")
    test_heartbeats_are_gapless_in_every_database(application, scheduler)
    dimensions = [row["_aws"]["CloudWatchMetrics"][0]["Dimensions"] for row in scheduler.metrics("DatabaseHeartbeats")]
    assert dimensions[0] == [["DBInstanceIdentifier"]]
    assert scheduler.metrics("DatabaseHeartbeats")[0]["DBInstanceIdentifier"] == "envelope-prod-db"


def test_a_tenant_that_is_away_does_not_stop_the_others(application: Application, scheduler: Task) -> None:
    """While one tenant's table is gone the other databases' heartbeats go on, and the log names the tenant."""
    assert scheduler.alive()
    application.rows("RENAME TABLE dr_heartbeat TO dr_heartbeat_away", schema="tenant_globex")
    try:
        count = "SELECT database_count FROM dr_heartbeat ORDER BY sequence DESC LIMIT 1"
        await_true(lambda: application.rows(count) == [(TENANTS,)], "a heartbeat without it")
    finally:
        application.rows("RENAME TABLE dr_heartbeat_away TO dr_heartbeat", schema="tenant_globex")
    await_true(lambda: application.rows(count) == [(TENANTS + 1,)], "a heartbeat with it")
    assert any("left out of tenant_globex" in line for line in scheduler.lines())


def test_a_suspended_tenants_database_gets_no_heartbeat(
    application: Application, scheduler: Task, suspended: str
) -> None:
    """Heartbeats go on in every database but that tenant's."""
    assert scheduler.alive()
    count = "SELECT database_count FROM dr_heartbeat ORDER BY sequence DESC LIMIT 1"
    await_true(lambda: application.rows(count) == [(TENANTS,)], "a heartbeat without it")
    quiet, [*_, newest] = sequences(application, f"tenant_{suspended}"), sequences(application, "central")
    await_true(lambda: sequences(application, "central")[-1] > newest + 3, "more heartbeats")
    assert sequences(application, f"tenant_{suspended}") == quiet


# Maintenance


def test_maintenance_mode_holds_for_all_tasks_at_once(
    tasks: dict[str, Task], application: Application, worker: Task
) -> None:
    """`artisan down`: 503 with Retry-After on every page but /up, no job is taken; `up` ends it."""
    token = ""
    application.artisan("down", "--retry=5")
    try:
        for service in ("api", "tenant", "hq"):
            answer = tasks[service].ask("/dr/probe?value=x")
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
            assert tasks[service].ask("/up").status == 200
        paused = len(worker.metrics("WorkerLoops"))
        queue = redis.Redis(application.redis.address)
        queue.rpush("envelope_database_queues:default", "")
        await_true(lambda: len(worker.metrics("WorkerLoops")) >= paused + 3, "the worker's pulse")
        assert queue.lpop("envelope_database_queues:default") == b""
    finally:
        application.artisan("up")
    token = dispatch(tasks["api"])
    await_true(lambda: done_at(tasks["api"], token), "a job done after it")


def test_a_container_started_alone_serves_during_maintenance(application: Application) -> None:
    """With APP_MAINTENANCE=ignore in its environment a container answers while the stack is in maintenance."""
    alone, other = application.start("api", 31, APP_MAINTENANCE="ignore"), application.start("api", 32)
    for task in (alone, other):
        await_true(lambda task=task: answers(task), "the task up")  # type: ignore[misc]
    application.artisan("down", "--retry=5")
    try:
        assert (alone.ask("/dr/database").status, other.ask("/dr/database").status) == (200, 503)
    finally:
        application.artisan("up")


def test_migrations_are_known_to_have_run(application: Application) -> None:
    """`migrate:status` reads the migrations table of the central database, and finds nothing to do."""
    status = application.artisan("migrate:status")
    assert "| Yes  | 2024_01_01_000000_create_central_database" in status
    assert "Nothing to migrate." in application.artisan("migrate", "--force")


# WebSockets


def connect(tasks: dict[str, Task]) -> WebSocket:
    return WebSocket(tasks["reverb"].address, 8000, "/app/envelope?protocol=7")


def test_reverb_greets_and_answers_a_probe(tasks: dict[str, Task], application: Application) -> None:
    """101 with the right accept key, the Pusher greeting, and the probe's value back from the database."""
    with connect(tasks) as client:
        assert (client.status, client.accepted) == (101, True)
        greeting = client.message()
        assert greeting["event"] == "pusher:connection_established"
        assert json.loads(greeting["data"])["activity_timeout"] > 0
        answer = client.ask({"event": "dr:probe", "data": {"value": "tök 🎉"}})
        assert (answer["event"], answer["data"]["value"]) == ("dr:probe", "tök 🎉")
        row = application.rows("SELECT value, service FROM dr_probe WHERE id = %s", answer["data"]["row"])
        assert row == [("tök 🎉", "reverb")]
        assert client.ask({"event": "pusher:ping", "data": {}})["event"] == "pusher:pong"


def test_reverb_keeps_the_websocket_protocol(tasks: dict[str, Task]) -> None:
    """Ping is answered by pong with its payload, fragments are one message, long ones work, close is answered."""
    with connect(tasks) as client:
        client.receive()
        client.send(b"are you there", PING)
        assert client.receive() == (PONG, b"are you there")
        message = json.dumps({"event": "dr:probe", "data": {"value": "whole"}, "padding": "x" * 1000}).encode()
        client.send(message[:7], TEXT, final=False)
        client.send(message[7:], 0)
        assert client.message()["data"]["value"] == "whole"
        client.send((1000).to_bytes(2, "big"), CLOSE)
        assert client.receive() == (CLOSE, (1000).to_bytes(2, "big"))


def test_reverb_serves_many_at_once(tasks: dict[str, Task]) -> None:
    """Twenty clients at once each get their own value back, and one that sends rubbish hurts nobody."""
    clients = [connect(tasks) for _ in range(20)]
    rude = socket.create_connection((tasks["reverb"].address, 8000), 5)
    rude.sendall(b"GET /app/x HTTP/1.1\r\n")
    try:
        for number, client in enumerate(clients):
            client.receive()
            client.send(json.dumps({"event": "dr:probe", "data": {"value": f"v{number}"}}).encode())
        assert [client.message()["data"]["value"] for client in clients] == [f"v{n}" for n in range(20)]
    finally:
        rude.close()
        for client in clients:
            client.__exit__()


def test_reverb_says_what_is_wrong(tasks: dict[str, Task], application: Application) -> None:
    """A message that is none, and a database that is away, are errors within the connection, which lives on."""
    with connect(tasks) as client:
        client.receive()
        assert client.ask("not an object")["event"] == "pusher:error"
        assert client.ask({"event": "dr:probe", "data": {}})["event"] == "pusher:error"
        application.rows("RENAME TABLE dr_probe TO dr_probe_away")
        try:
            assert client.ask({"event": "dr:probe", "data": {"value": "x"}})["event"] == "pusher:error"
        finally:
            application.rows("RENAME TABLE dr_probe_away TO dr_probe")
        assert client.ask({"event": "dr:probe", "data": {"value": "x"}})["event"] == "dr:probe"
    assert tasks["reverb"].ask("/app/key").status == 426
    assert tasks["reverb"].ask("/nothing").status == 404


def test_reverb_outlives_its_database(tasks: dict[str, Task], application: Application) -> None:
    """The same connection is answered after the database was killed and started again."""
    with connect(tasks) as client:
        client.receive()
        assert client.ask({"event": "dr:probe", "data": {"value": "before"}})["data"]["value"] == "before"
        application.database.kill()
        await_true(lambda: application.database.exit_code() is not None, "the database's end")
        assert client.ask({"event": "dr:probe", "data": {"value": "during"}})["event"] == "pusher:error"
        application.database.start()
        application.database.wait_until_ready(deadline=30)
        assert client.ask({"event": "dr:probe", "data": {"value": "after"}})["data"]["value"] == "after"
