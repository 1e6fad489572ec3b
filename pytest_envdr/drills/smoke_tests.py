"""Smoke tests from outside, against load balancers that no DNS name leads to yet: with the tenants' host names.

Each says who answered: the load balancer that was asked, and which database server the application asked in turn
(aws-semantics 9.9). A test that passed with the primary's server has failed.
"""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_envdr.aws import secretsmanager
from pytest_envdr.aws.secretsmanager import Login as Password
from pytest_envdr.errors import StackFileError
from pytest_envdr.probe import check_for
from pytest_envdr.stack import HeartbeatProbe
from pytest_envdr.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pytest_envdr.aws import Aws
    from pytest_envdr.aws.elbv2 import LoadBalancer
    from pytest_envdr.drills import Drill
    from pytest_envdr.stack import Service, Stack
    from pytest_envdr.tables import Secondary

SECONDS = 10.0
OK = http.HTTPStatus.OK
BEATS = 2
"""How many times as long as a heartbeat may be old the next one is waited for; by then it is told there is none."""


@dataclass(frozen=True)
class Place:
    """Where a service is asked: the load balancer's URL, and the host name that it routes by."""

    url: str
    host: str


@dataclass(frozen=True)
class Known:
    """What was read in the primary Region before, and must be read in the other one.

    Attributes:
        tenant: whose data.
        page: where they are.
        records: a part of what that page answers.
        token: a session that was begun there: only with the same APP_KEY is it one here.
    """

    tenant: str
    page: str
    records: tuple[str, ...]
    token: str = field(repr=False)


@dataclass(frozen=True)
class Outcome:
    """What became of one test: `wrong` is "" where it passed; `server` is the database server that answered."""

    test: str
    place: Place
    wrong: str
    server: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.wrong


@dataclass(frozen=True)
class Suite:
    """All tests of a Region.

    Attributes:
        aws: the Region, for the secret of the tenant's user.
        row: the stack file's.
        places: where each service (key of `services`) is asked.
        server: what the Region's own database server says of itself.
        known: what must be known there.
    """

    aws: Aws
    row: Secondary
    places: Mapping[str, Place]
    server: str
    known: Known

    def run(self, drill: Drill) -> list[Outcome]:
        """Every test once."""
        return [_timed(drill, test, place, ask) for test, place, ask in self._tests()]

    def _tests(self) -> Iterator[tuple[str, Place, Callable[[], tuple[str, str]]]]:
        stack = self.aws.stack
        for word, row in stack.services.items():
            yield f"{row.probe.kind} probe of {word}", self.places[word], partial(_probed, row, self.places[word])
        for word in (word for word, row in stack.services.items() if row.probe.kind == "http"):
            yield f"database of {word}", self.places[word], partial(self._identity, self.places[word])
        for word, page in self.row.pages.items():
            yield f"page {page} of {word}", self.places[word], partial(_page, self.places[word], page)
        tenant = self.places[self.row.login.service]
        yield "known data", tenant, partial(self._known, tenant)
        yield "a tenant's user logs in", tenant, partial(self._logged_in, tenant)
        yield "a session of before", tenant, partial(self._session, tenant, self.known.token)

    def _identity(self, place: Place) -> tuple[str, str]:
        database = self.aws.stack.database
        status, body = ask(place, database.identity_path if database else "/")
        server = str(body.get("server") or "")
        if status != OK:
            return f"http {status}", server
        return ("" if server == self.server else f"it asks {server or 'no server that it names'}"), server

    def _known(self, place: Place) -> tuple[str, str]:
        status, body = ask(place, self.known.page)
        text = json.dumps(body, ensure_ascii=False, sort_keys=True)
        missing = [record for record in self.known.records if record not in text]
        return (f"http {status}" if status != OK else f"{len(missing)} known records are missing" * bool(missing)), ""

    def _logged_in(self, place: Place) -> tuple[str, str]:
        token, wrong = log_in(self.aws, self.row, place, self.known.tenant)
        return (wrong, "") if wrong else self._session(place, token)

    def _session(self, place: Place, token: str) -> tuple[str, str]:
        page = self.row.login.page.format(slug=self.known.tenant)
        status, body = ask(place, page, token=token)
        right = status == OK and bool(body.get("user"))
        return ("" if right else f"http {status}: the session is not known"), ""


def places(stack: Stack, balancers: Mapping[str, LoadBalancer]) -> dict[str, Place]:
    """Where each service is asked; one without a load balancer through that of the service with the same host."""
    urls = {stack.services[word].probe.host: balancer.url for word, balancer in balancers.items()}
    return {word: Place(urls.get(row.probe.host, ""), row.probe.host or "") for word, row in stack.services.items()}


def remembered(aws: Aws, row: Secondary) -> Known:
    """What a client of the primary reads before the failover.

    Raises:
        StackFileError: the stack file names no tenant, or one of whom nothing is known, or who cannot be logged in.
    """
    aws.stack.needs("drill_tenant", "database")
    tenant = aws.stack.drill_tenant
    if tenant is None:
        raise StackFileError("The stack file has no [drill_tenant].")
    service = aws.stack.services[row.login.service]
    place = Place(service.probe.url, service.probe.host or "")
    page = tenant.page.format(slug=tenant.slug)
    status, body = ask(place, page)
    records = tuple(_records(body))
    if not records:
        raise StackFileError(
            f"Nothing is known of tenant {tenant.slug} that could be looked for in the standby Region: "
            f"{place.url}{page} answers http {status} without a row.\nLooked at: {aws.stack.path}: [drill_tenant] page"
        )
    token, wrong = log_in(aws, row, place, tenant.slug)
    if wrong:
        raise StackFileError(
            f"No user of tenant {tenant.slug} can be logged in in the primary Region: {wrong}.\n"
            f"Looked at: {aws.stack.path}: [secondary.login]"
        )
    return Known(tenant.slug, page, records, token)


def log_in(aws: Aws, row: Secondary, place: Place, tenant: str) -> tuple[str, str]:
    """The token of a tenant's user, and "" ; or "" and what is wrong."""
    login = row.login
    user = secretsmanager.login(aws, login.secret) if login.secret else Password(login.email, login.password)
    said = {"email": user.user, "password": user.password}
    status, body = ask(place, login.path.format(slug=tenant), said)
    token = str(body.get("token") or "")
    return token, "" if token else f"http {status}: no token"


def ask(
    place: Place, path: str, said: Mapping[str, str] | None = None, *, token: str = ""
) -> tuple[int, dict[str, Any]]:
    """Status and JSON object of one exchange; an answer that is not 200 has no object.

    Raises:
        OSError: nobody answers.
        ValueError: the answer is not JSON.
    """
    url = urlsplit(place.url)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=SECONDS)
    headers = {"Host": place.host or url.netloc, "Connection": "close", "Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        body = None if said is None else json.dumps(said)
        connection.request("GET" if said is None else "POST", f"{url.path.rstrip('/')}{path}", body, headers)
        answer = connection.getresponse()
        content = answer.read()
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()
    found = json.loads(content) if answer.status == OK else {}
    return answer.status, found if isinstance(found, dict) else {}


def tell(drill: Drill, outcomes: list[Outcome], *, when: str) -> None:
    """The tests as a table."""
    rows = [
        (one.test, one.place.url, one.place.host, one.server or "-", f"{one.seconds:.2f}", one.wrong or "passed")
        for one in outcomes
    ]
    columns = ("test", "asked", "as host", "answered by the server", "seconds", "outcome")
    drill.table(f"Smoke tests, {when}", columns, rows)


def _timed(drill: Drill, test: str, place: Place, ask_it: Callable[[], tuple[str, str]]) -> Outcome:
    began = drill.clock.monotonic()
    try:
        wrong, server = ask_it()
    except (OSError, ValueError) as error:
        wrong, server = f"{type(error).__name__}: {error}", ""
    return Outcome(test, place, wrong, server, drill.clock.monotonic() - began)


def _probed(row: Service, place: Place) -> tuple[str, str]:
    """The probe of the stack file, asked there: writes and reads back, or a job, a frame, a new heartbeat. A number
    alone is none, for the restored database has the primary's: the next one is waited for."""
    check = check_for(row.probe.model_copy(update={"url": place.url}))
    answer = check()
    if answer.ok and isinstance(row.probe, HeartbeatProbe):
        answer = wait_until(
            check,
            lambda now: now.proof or not now.ok,
            what=f"a new heartbeat of {row.name}",
            deadline=BEATS * row.probe.within_seconds,
        )
    return ("" if answer.ok else answer.error or f"http {answer.status}"), ""


def _page(place: Place, path: str) -> tuple[str, str]:
    status, _ = ask(place, path)
    return ("" if status == OK else f"http {status}"), ""


def _records(body: Mapping[str, Any]) -> Iterator[str]:
    """The rows of every list in an answer, each as text."""
    for rows in body.values():
        if isinstance(rows, list):
            yield from (json.dumps(row, ensure_ascii=False, sort_keys=True) for row in rows)
