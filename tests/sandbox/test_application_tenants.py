"""Tenants that are founded while the application runs: rows, database and event at once, a bucket when one is made."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.sandbox import programs
from pytest_envdr.sandbox.control_plane import s3
from pytest_envdr.sandbox.envelope import database
from pytest_envdr.waiting import wait_until
from tests.sandbox.application import Application, Task, running
from tests.sandbox.control_plane.served import ACCOUNT, Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

BUS = "envelope-prod"
EXERCISE = "20240101T000000Z-abcdef"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(
        tmp_path_factory.mktemp("api"), {"s3": s3}, region="eu-west-3", network="127.21.0.0/16", speed=100
    ) as served:
        served.client("events").create_event_bus(Name=BUS)
        yield served


@pytest.fixture(scope="module")
def application(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    programs.require()
    with running(tmp_path_factory.mktemp("tenants"), network="127.21", tenants=1) as application:
        application.variables = {
            "AWS_ENDPOINT_URL": served.world.endpoint,
            "AWS_REGION": served.world.region,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_ACCOUNT_ID": ACCOUNT,
            "EVENT_BUS": BUS,
        }
        yield application


@pytest.fixture(scope="module")
def api(application: Application) -> Task:
    return started(application, "api", 10)


@pytest.fixture(scope="module")
def pages(application: Application) -> Task:
    return started(application, "tenant", 11)


def started(application: Application, service: str, host: int, **more: str) -> Task:
    task = application.start(service, host, **more)
    wait_until(lambda: task.ask("/up").status == 200, what=f"{service} up", deadline=20, tolerated=(OSError,))
    return task


def found(api: Task, slug: str, **more: Any) -> dict[str, Any]:
    """A new tenant, as the application tells of it."""
    answer = api.ask("/api/tenants", {"slug": slug, "name": "Zoë & Söhne", "exercise": EXERCISE, **more})
    assert answer.status == 201, answer.body
    return dict(answer.body)


def document(name: str = "scan ünïcode.pdf", body: bytes = b"%PDF\x00\xff") -> dict[str, str]:
    return {"filename": name, "content": base64.b64encode(body).decode()}


def deleted(application: Application, slug: str, exercise: str = EXERCISE) -> subprocess.CompletedProcess[str]:
    environment = application.environment("api", f"{application.network}.32.249")
    command = ["php", "artisan", "tenant:delete", slug, exercise]
    return subprocess.run(
        command, cwd=database.APPLICATION, env=environment, check=False, capture_output=True, text=True
    )


def test_a_new_tenant_has_rows_a_database_and_an_event(api: Task, pages: Task, application: Application) -> None:
    """A tenant that was founded is listed, its pages work, its database has the schema of all the others; the event is
    told with an id."""
    told = found(api, "newcomer")
    tenant = told["tenant"]
    assert (tenant["slug"], tenant["status"]) == ("newcomer", "active")
    assert tenant["bucket"] == "envelope-prod-tenant-newcomer"
    assert told["event"]
    assert api.ask("/api/tenants/newcomer").body["domains"] == ["newcomer.tenant.envelope.test"]
    assert pages.ask("/t/newcomer/orders").body == {"tenant": "newcomer", "orders": []}
    schema = "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = %s ORDER BY 1"
    assert application.rows(schema, "tenant_newcomer") == application.rows(schema, "tenant_acme")
    settings = application.rows("SELECT JSON_VALUE(value, '$.slug') FROM settings", schema="tenant_newcomer")
    assert settings == [("newcomer",)]


def test_without_a_bucket_a_document_is_refused_and_with_one_it_is_kept(
    api: Task, pages: Task, application: Application, served: Served
) -> None:
    """Upload answers 503 until the bucket is there, and leaves no row; then what was uploaded is an object with its
    digest, and is read back from there."""
    bucket = found(api, "waiting")["tenant"]["bucket"]
    refused = pages.ask("/t/waiting/documents", document())
    assert (refused.status, refused.body["error"]) == (503, "storage not ready")
    assert application.rows("SELECT COUNT(*) FROM documents", schema="tenant_waiting") == [(0,)]
    client = served.client("s3")
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": served.world.region})
    kept = pages.ask("/t/waiting/documents", document())
    assert kept.status == 201, kept.body
    key = kept.body["document"]["object_key"]
    stored = client.get_object(Bucket=bucket, Key=key)
    assert stored["Body"].read() == b"%PDF\x00\xff"
    assert stored["Metadata"]["sha256"] == hashlib.sha256(b"%PDF\x00\xff").hexdigest()
    assert client.get_object_tagging(Bucket=bucket, Key=key)["TagSet"] == [{"Key": "class", "Value": "document"}]
    shown = pages.ask(f"/t/waiting/documents/{kept.body['document']['id']}").body["document"]
    assert shown == kept.body["document"]
    client.put_object(Bucket=bucket, Key=key, Body=b"of the bucket")
    shown = pages.ask(f"/t/waiting/documents/{kept.body['document']['id']}").body["document"]
    assert base64.b64decode(shown["content"]) == b"of the bucket"


def test_another_bucket_may_be_noted(api: Task, pages: Task, application: Application, served: Served) -> None:
    """tenant:bucket notes where a tenant's documents go."""
    found(api, "elsewhere")
    name = {"LocationConstraint": served.world.region}
    served.client("s3").create_bucket(Bucket="envelope-elsewhere-2", CreateBucketConfiguration=name)
    told = json.loads(application.artisan("tenant:bucket", "elsewhere", "envelope-elsewhere-2"))
    assert told == {"tenant": "elsewhere", "bucket": "envelope-elsewhere-2"}
    assert pages.ask("/t/elsewhere/documents", document()).status == 201
    assert api.ask("/api/tenants/elsewhere").body["tenant"]["bucket"] == "envelope-elsewhere-2"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x"}, "slug"),
        ({"slug": "Upper", "name": "x"}, "slug"),
        ({"slug": "a--b", "name": "x"}, "slug"),
        ({"slug": "ends-", "name": "x"}, "slug"),
        ({"slug": "x" * 41, "name": "x"}, "slug"),
        ({"slug": "line\n", "name": "x"}, "slug"),
        ({"slug": "fine"}, "name"),
        ({"slug": "fine", "name": " "}, "name"),
        ({"slug": "fine", "name": "x" * 201}, "name"),
        ({"slug": "fine", "name": "x", "exercise": 7}, "exercise"),
    ],
)
def test_what_is_no_tenant_is_refused(api: Task, body: dict[str, Any], field: str) -> None:
    """A 422 names the field that is wrong, and nothing was founded."""
    answer = api.ask("/api/tenants", body)
    assert answer.status == 422
    assert f'"{field}"' in answer.body["message"]
    assert api.ask("/api/tenants/fine").status == 404


def test_what_is_no_document_is_refused(pages: Task) -> None:
    """A 422 names the field that is wrong."""
    for body, field in (
        ({"content": "eA=="}, "filename"),
        ({"filename": "a/b", "content": "eA=="}, "filename"),
        ({"filename": "a", "content": "?"}, "content"),
        ({"filename": "a"}, "content"),
    ):
        answer = pages.ask("/t/acme/documents", body)
        assert (answer.status, field in answer.body["message"]) == (422, True)


def test_a_tenant_is_founded_once(api: Task) -> None:
    """The second is a 409, and the first is untouched."""
    first = found(api, "twice")["tenant"]
    assert api.ask("/api/tenants", {"slug": "twice", "name": "again"}).status == 409
    assert api.ask("/api/tenants", {"slug": "acme", "name": "again"}).status == 409
    assert api.ask("/api/tenants/twice").body["tenant"] == first


def test_an_exercises_tenant_goes_without_a_trace_and_no_other_does(api: Task, application: Application) -> None:
    """tenant:delete takes database and rows of an exercise's own tenant; another's, and a real one, stay."""
    found(api, "leaving")
    for slug, exercise in (("leaving", "another"), ("acme", EXERCISE)):
        refused = deleted(application, slug, exercise)
        assert refused.returncode == 2
        assert "it stays" in json.loads(refused.stdout)["error"]
    assert json.loads(deleted(application, "leaving").stdout) == {"tenant": "leaving", "deleted": True}
    assert api.ask("/api/tenants/leaving").status == 404
    assert application.rows("SHOW DATABASES LIKE 'tenant\\_leaving'") == []
    assert application.rows("SELECT COUNT(*) FROM domains WHERE domain LIKE 'leaving.%'") == [(0,)]
    assert json.loads(deleted(application, "leaving").stdout) == {"tenant": "leaving", "deleted": False}


def test_a_tenant_whose_event_was_not_told_says_so(application: Application) -> None:
    """Where EventBridge does not answer, the tenant is there, with no event, and the log has why."""
    nowhere = started(application, "api", 12, AWS_ENDPOINT_URL="http://127.21.0.1:9")
    assert found(nowhere, "unheard")["event"] is None
    assert any("tenant.created of unheard was not told" in line for line in nowhere.lines())
