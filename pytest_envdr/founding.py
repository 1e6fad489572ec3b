"""New tenants: founded through the application, as somebody outside does it, and taken away by its own command.

What the application tells of a tenant it tells of its own: where its documents go, whether they can be kept.
"""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_envdr import laravel
from pytest_envdr.errors import Refused, WaitFailed
from pytest_envdr.journal import Inverse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Journal
    from pytest_envdr.laravel import Ran
    from pytest_envdr.stack import Stack
    from pytest_envdr.tables import Provisioner

PAGE_SECONDS = 15.0
"""How long a page may take: founding makes a database."""
NOT_FOUND, CREATED = 404, 201


@dataclass(frozen=True)
class Answer:
    """What a page answered; `body` is its JSON, None where it is none."""

    status: int
    body: Any

    def __str__(self) -> str:
        return f"{self.status} {json.dumps(self.body, ensure_ascii=False)[:200]}"


@dataclass(frozen=True)
class Founded:
    """A tenant as the application's page has it; `bucket` is where its documents go, "" for nowhere."""

    id: int
    slug: str
    database: str
    bucket: str


def row(stack: Stack) -> Provisioner:
    """The stack file's `[provisioner]`.

    Raises:
        StackFileError: there is none.
        Refused: it names a service that the stack file does not have.
    """
    stack.needs("provisioner")
    if stack.provisioner is None:  # for the type checker: `needs` refused it
        raise Refused("The stack file has no [provisioner].")
    for word in (stack.provisioner.service, stack.provisioner.page_service):
        if word not in stack.services:
            raise Refused(
                f"[provisioner] names a service that the stack file does not have: {word}.\nLooked at: {stack.path}\n"
                f"To go on: name one of {', '.join(stack.services)}."
            )
    return stack.provisioner


def tenant(stack: Stack, slug: str) -> Founded | None:
    """A tenant, None where there is none.

    Raises:
        OSError: nobody answers, or not with that page.
        ValueError: what answers is not that page.
    """
    wanted = row(stack)
    answer = _ask(stack, wanted.service, f"{wanted.path}/{slug}")
    if answer.status == NOT_FOUND:
        return None
    return _founded(answer)


def found(aws: Aws, journal: Journal, slug: str, name: str) -> tuple[Founded, str]:
    """Found a tenant; with it the id of the event that tells of it, "" where the application could not tell. Undone,
    its rows and its database are gone; its bucket, if any, is not this act's.

    Raises:
        WaitFailed: the application did not do it; says what it answered.
        OSError: it does not answer.
    """
    wanted, exercise = row(aws.stack), journal.header.exercise
    service = aws.stack.services[wanted.service]
    before = {
        "cluster": service.cluster,
        "service": service.name,
        "command": [*wanted.artisan, "tenant:delete", slug, exercise],
        "exercise": exercise,
        "deletes": slug,
    }
    inverse = Inverse("ecs.RunTask", before, f"no tenant {slug}")
    with journal.intending("application.FoundTenant", {"slug": slug, "name": name}, inverse=inverse):
        told = {"slug": slug, "name": name, "exercise": exercise}
        answer = _ask(aws.stack, wanted.service, wanted.path, told)
        if answer.status != CREATED:
            raise WaitFailed(f"The application did not found the tenant {slug}: it answered {answer}.")
        return _founded(answer), str(answer.body.get("event") or "")


def note_bucket(aws: Aws, journal: Journal, slug: str, bucket: str) -> Ran:
    """Note another bucket for a tenant; with an exercise's own tenant it goes.

    Raises:
        WaitFailed: the command failed; says what it wrote.
    """
    wanted = row(aws.stack)
    command = (*wanted.artisan, "tenant:bucket", slug, bucket)
    ran = laravel.run(aws, journal, aws.stack.services[wanted.service], command)
    if ran.exit_code:
        raise WaitFailed(f"`{' '.join(command)}` ended with exit code {ran.exit_code}: {ran.output[-500:]}")
    return ran


def page(stack: Stack, slug: str) -> Answer:
    """A page of a tenant's own that needs no bucket.

    Raises:
        OSError: nobody answers.
    """
    wanted = row(stack)
    return _ask(stack, wanted.page_service, wanted.page.format(slug=slug))


def keep_document(stack: Stack, slug: str, filename: str, content: bytes) -> Answer:
    """Upload a document to an exercise's own tenant.

    Raises:
        OSError: nobody answers.
    """
    wanted = row(stack)
    told = {"filename": filename, "content": base64.b64encode(content).decode()}
    return _ask(stack, wanted.page_service, wanted.documents.format(slug=slug), told)


def document(stack: Stack, slug: str, number: int) -> bytes:
    """A document's bytes, as the application reads them from the bucket.

    Raises:
        OSError: nobody answers.
        ValueError: the application does not have it; says what it answered.
    """
    wanted = row(stack)
    answer = _ask(stack, wanted.page_service, f"{wanted.documents.format(slug=slug)}/{number}")
    try:
        return base64.b64decode(answer.body["document"]["content"])
    except (TypeError, KeyError) as error:
        raise ValueError(f"document {number} of {slug} is not to be had: {answer}") from error


def _founded(answer: Answer) -> Founded:
    try:
        told = answer.body["tenant"]
        return Founded(int(told["id"]), str(told["slug"]), str(told["database_name"]), str(told["bucket"] or ""))
    except (TypeError, KeyError) as error:
        raise ValueError(f"this is no page of a tenant: {answer}") from error


def _ask(stack: Stack, word: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
    """GET, or POST with a JSON body, whatever the status."""
    probe = stack.services[word].probe
    headers = {"Host": probe.host} if probe.host else {}
    data = None
    if body is not None:
        data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
    request = urllib.request.Request(f"{probe.url.rstrip('/')}{path}", data, headers)  # noqa: S310 (the stack file's)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=PAGE_SECONDS) as answer:
            return _answer(answer.status, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return _answer(error.code, error.read())


def _answer(status: int, raw: bytes) -> Answer:
    try:
        return Answer(status, json.loads(raw))
    except ValueError:
        return Answer(status, None)
