"""AWS as the drills reach it: one session, the guard in every client, every call told.

This is the only importer of boto3. The modules beside it are one a service: reads are nouns and take `aws`, acts are
verbs and take `aws, journal`. They know nothing of one another.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.exceptions import ConnectionError as NotConnected
from botocore.utils import parse_timestamp

from pytest_envdr import guard
from pytest_envdr.aws.recorder import Call, Recorder
from pytest_envdr.errors import AwsError, EnvdrError, NotFound, UsageError
from pytest_envdr.stack import Credentials
from pytest_envdr.timeline import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pytest_envdr.journal import Inverse, Journal
    from pytest_envdr.stack import Stack

__all__ = ["Act", "Aws", "Call"]

CONFIG = Config(
    # boto3's own default is three attempts (aws-semantics 0.6): too few for a drill that polls for an hour.
    retries={"mode": "adaptive", "total_max_attempts": 10},
    connect_timeout=5,
    read_timeout=30,
    # Neither a proxy nor an endpoint of the environment may send a drill elsewhere than its stack file says.
    proxies={},
    ignore_configured_endpoint_urls=True,  # type: ignore[call-arg] # the stubs do not know it
    user_agent_extra="pytest-envdr",
)

NOT_THERE = ("NotFound", "NonExistent", "DoesNotExist", "NoSuch", "ResourceNotFound")
"""What AWS's codes contain when a name stands for nothing."""


@dataclass(frozen=True)
class Act:
    """A call that changes AWS: what it is for (`what`, a clause), its arguments, and what brings the state back."""

    operation: str
    arguments: Mapping[str, Any]
    inverse: Inverse
    what: str


class Aws:
    """The stack's account and Region through one session.

    Args:
        stack: names endpoint, account, Region and credentials.
        journal: what the guard asks whether a call that changes AWS may be made; None: none may.
        on_call: told of every call when it has been answered, or has failed.
        clock: the exercise's clock.

    Raises:
        NotCleared: the endpoint is not cleared.
        UsageError: the endpoint is no URL, or the profile is not there.
    """

    def __init__(
        self,
        stack: Stack,
        journal: Journal | None = None,
        on_call: Callable[[Call], None] | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        guard.check_endpoint(stack)
        self.stack = stack
        self.journal = journal
        self._told = on_call, clock
        self._recorder = Recorder(on_call or (lambda _: None), clock or Clock())
        self._session = _session(stack)
        self._clients: dict[str, Any] = {}
        self._elsewhere: dict[str, Aws] = {}

    def elsewhere(self, region: str) -> Aws:
        """The same account in another Region, with the same journal and record. `stack.region` is that Region there.

        Raises:
            NotCleared: it is neither the stack's own Region nor its standby.
        """
        if region in {"", self.stack.region}:
            return self
        guard.check_region(self.stack, region)
        if region not in self._elsewhere:
            there = self.stack.model_copy(update={"region": region, "standby_region": self.stack.region})
            told, clock = self._told
            self._elsewhere[region] = Aws(there, self.journal, told, clock=clock)
        return self._elsewhere[region]

    def client(self, service: str) -> Any:
        """The boto3 client of a service, under guard and recorded."""
        if service not in self._clients:
            # A bucket's name in the host would be another host than the endpoint that the guard has cleared.
            config = CONFIG.merge(Config(s3={"addressing_style": "path"})) if self.stack.endpoint else CONFIG
            client = self._session.client(service, endpoint_url=self.stack.endpoint, config=config)
            guard.attach(client.meta.events, service, permits=self._permits, endpoint=self.stack.endpoint)
            self._recorder.attach(client.meta.events, service)
            self._clients[service] = client
        return self._clients[service]

    def _permits(self, operation: str) -> bool:
        return self.journal is not None and self.journal.permits(operation)

    def call(self, operation: str, *, what: str, **arguments: Any) -> dict[str, Any]:
        """One call: "ecs.DescribeServices". `what` says in a clause what it is for.

        Raises:
            NotFound: AWS knows no such thing.
            AwsError: AWS refused it otherwise.
            UsageError: the endpoint cannot be reached, or there are no credentials.
        """
        service, _, name = operation.partition(".")
        try:
            answer: dict[str, Any] = getattr(self.client(service), xform_name(name))(**arguments)
        except (ClientError, BotoCoreError) as error:
            raise self._explained(error, operation, what) from error
        return answer

    def pages(self, operation: str, *keys: str, what: str, **arguments: Any) -> Iterator[Any]:
        """What is under these keys in every page of an answer.

        Raises:
            AwsError, UsageError: as `call`.
        """
        service, _, name = operation.partition(".")
        try:
            for page in self.client(service).get_paginator(xform_name(name)).paginate(**arguments):
                for key in keys:
                    yield from page.get(key, [])
        except (ClientError, BotoCoreError) as error:
            raise self._explained(error, operation, what) from error

    def act(
        self, journal: Journal, act: Act, *, kept: Callable[[dict[str, Any]], dict[str, Any]] = lambda _: {}
    ) -> dict[str, Any]:
        """Intend, then do, then settle.

        Args:
            journal: where the inverse is written before the call.
            act: the call.
            kept: what of the answer the journal keeps.

        Raises:
            AwsError, UsageError: as `call`; the entry stays owed.
            JournalDamaged: the inverse could not be written; nothing was called.
        """
        away = self.stack.region != journal.header.region
        inverse = replace(act.inverse, region=self.stack.region) if away else act.inverse
        with journal.intending(act.operation, act.arguments, inverse=inverse) as entry:
            answer = self.call(act.operation, what=act.what, **act.arguments)
            entry.settle(kept(answer))
        return answer

    def credentials(self) -> Credentials:
        """The credentials that the calls are signed with, for a program of the user's own; a role's end within hours.

        Raises:
            UsageError: there are none.
        """
        try:
            found = self._session.get_credentials()
            if found is None:
                raise NoCredentialsError
            frozen = found.get_frozen_credentials()
        except BotoCoreError as error:
            raise UsageError(
                f"There are no credentials: {error}.\nLooked at: {self.stack.path}: credentials, profile\n"
                "To go on: name a profile in the stack file, or set AWS_PROFILE."
            ) from error
        return Credentials(
            access_key_id=frozen.access_key, secret_access_key=frozen.secret_key, session_token=frozen.token or ""
        )

    def check_reachable(self) -> None:
        """Refuse an endpoint where nobody listens, at once, where the clients would try for a minute.

        Raises:
            UsageError: naming endpoint and stack file.
        """
        parts = urlsplit(self.stack.endpoint or "")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            socket.create_connection((parts.hostname or "", port), timeout=5).close()
        except OSError as error:
            raise self._unreachable(error) from error

    def origin(self, value: str) -> str:
        """Where in the stack file a name stands, for messages: "services.api.name in stack.toml"."""
        for key, row in self.stack.services.items():
            if value in (row.name, row.cluster):
                return f"services.{key}.{'name' if value == row.name else 'cluster'} in {self.stack.path}"
            if value in (*row.alarms, *row.error_alarms):
                return f"services.{key}.{'alarms' if value in row.alarms else 'error_alarms'} in {self.stack.path}"
        provisioner = self.stack.provisioner
        for key in ("function", "rule", "bus", "archive", "dead_letters", "undelivered", "log_group"):
            if provisioner and value == getattr(provisioner, key):
                return f"provisioner.{key} in {self.stack.path}"
        if value == self.stack.notifications.topic:
            return f"notifications.topic in {self.stack.path}"
        return "not the stack file"

    def refused(self, what: str, *, code: str) -> AwsError:
        """The error for an answer that is none, though its status is 200."""
        return AwsError(f"{what} (account {self.stack.account}, {self.stack.region}).", code=code)

    def not_found(self, what: str, *names: str) -> NotFound:
        """The error for names that AWS does not know; `what` says it in a sentence without its full stop."""
        origins = "".join(f"\nLooked at: {name}: {self.origin(name)}" for name in names)
        return NotFound(f"{what} (account {self.stack.account}, {self.stack.region}).{origins}")

    def _explained(self, error: ClientError | BotoCoreError, operation: str, what: str) -> EnvdrError:
        if isinstance(error, ClientError):
            code = error.response.get("Error", {}).get("Code", "")
            words = error.response.get("Error", {}).get("Message", "")
            kind = NotFound if any(word in code for word in NOT_THERE) else AwsError
            return kind(f"{what}: AWS refused {operation}: {code}: {words}", code=code)
        if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
            return UsageError(
                f"{what}: there are no credentials: {error}.\nLooked at: {self.stack.path}: credentials, profile\n"
                "To go on: name a profile in the stack file, or set AWS_PROFILE."
            )
        if isinstance(error, (NotConnected, HTTPClientError)):
            return self._unreachable(error)
        return AwsError(f"{what}: {operation} could not be made: {error}", code=type(error).__name__)

    def _unreachable(self, error: Exception) -> UsageError:
        return UsageError(
            f"The endpoint {self.stack.endpoint} does not answer: {error}. Looked at: {self.stack.path}: endpoint. "
            "To go on: start what it names, or correct it."
        )


def _session(stack: Stack) -> Any:
    """A session that takes Region and credentials from the stack file, or from the profile that it names."""
    static = stack.credentials
    # With credentials of its own a stack file needs nothing of ~/.aws or AWS_PROFILE, and must not trip over them.
    nothing = {"profile": (None, None, None, None), "config_file": (None, None, os.devnull, None)}
    core = botocore.session.Session(profile=None if static else stack.profile, session_vars=nothing if static else None)
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_utc)
    try:
        return boto3.Session(
            region_name=stack.region,
            aws_access_key_id=static.access_key_id if static else None,
            aws_secret_access_key=static.secret_access_key if static else None,
            aws_session_token=(static.session_token or None) if static else None,
            botocore_session=core,
        )
    except ProfileNotFound as error:
        raise UsageError(f"{error}.\nLooked at: {stack.path}: profile") from error


def _utc(value: Any) -> datetime:
    """AWS's time stamps as aware UTC; botocore would give them in this machine's zone."""
    if isinstance(value, str) and value.endswith("Z") and "T" in value:
        # S3 lists a thousand a page: 0.6 ms so, 33 ms by dateutil, which botocore asks.
        with suppress(ValueError):
            return datetime.fromisoformat(value)
    return parse_timestamp(value).astimezone(UTC)
