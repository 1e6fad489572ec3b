"""One load balancer's node: brings its HAProxy to what the control loop wants, and says how it is."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pytest_envdr.errors import PartFailed
from pytest_envdr.sandbox.control_plane.elbv2.traffic import Log
from pytest_envdr.sandbox.data_plane.haproxy import HAProxy
from pytest_envdr.sandbox.data_plane.haproxy_config import (
    LoadBalancer,
    Server,
    ServerState,
    render,
    server_options,
)

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping
    from concurrent.futures import Future
    from pathlib import Path

    from pytest_envdr.sandbox.control_plane.elbv2.background import Background

PASS_SECONDS = 0.25
"""Wall seconds between two looks at HAProxy when nothing has changed."""
RETRY_SECONDS = 1.0
"""Wall seconds until a configuration that HAProxy refused is tried again: a port may have become free."""

log = logging.getLogger("envdr.sandbox")


class Condition(StrEnum):
    """How a node is."""

    STARTING = "starting"
    SERVING = "serving"
    IMPAIRED = "impaired"
    """It serves, but not what is wanted: HAProxy refused the newest configuration."""
    DOWN = "down"
    """HAProxy hangs or died, or could not be started."""


@dataclass(frozen=True)
class Wanted:
    """What the control loop wants of a node."""

    balancer: LoadBalancer
    servers: Mapping[Server, ServerState]


class Node:
    """Works in the background thread; the control loop sets `wanted` and reads `condition`, `servers` and `requests`.

    HAProxy is reloaded when the load balancer's structure changes; targets come and go through its runtime API.
    A HAProxy that died is started anew, as AWS replaces a node. One that hangs is reported, not touched.
    """

    def __init__(self, name: str, address: str, directory: Path, background: Background) -> None:
        self.name = name
        self.address = address
        self.condition = Condition.STARTING
        self.servers: dict[Server, ServerState] = {}
        self.requests = Log(address)
        self._background = background
        self._proxy = HAProxy(directory, name=f"load balancer {name}")
        self._wanted: Wanted | None = None
        self._loaded: LoadBalancer | None = None
        self._refused: tuple[LoadBalancer, float] | None = None
        self._changed = asyncio.Event()
        self._work: Future[None] = background.submit(self._run())

    @property
    def pid(self) -> int | None:
        """HAProxy's process id."""
        return self._proxy.pid

    def want(self, wanted: Wanted) -> None:
        """Change what is wanted; returns at once."""
        if wanted != self._wanted:
            self._wanted = wanted
            self._background.call(self._changed.set)

    def signal(self, number: signal.Signals) -> None:
        """Send HAProxy a signal, and what takes over from it or is replaced."""
        self._proxy.signal(number)

    def close(self) -> None:
        """Stop HAProxy, soon; idempotent. Closing the background waits for it."""
        self._work.cancel()

    async def _run(self) -> None:
        await self.requests.open()
        try:
            while True:
                await self._pass()
                await self._pause()
        finally:
            self.requests.close()
            self._proxy.stop()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(PASS_SECONDS):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()

    async def _pass(self) -> None:
        wanted = self._wanted
        if wanted is None:
            return
        try:
            await self._load(wanted)
            if self._proxy.running():
                await self._reconcile(wanted.servers)
                await self._proxy.ask("show version")
                self.condition = Condition.SERVING if self._loaded == wanted.balancer else Condition.IMPAIRED
        except OSError:
            # It does not answer, or not in time. A process that died is started at the next pass.
            self.condition = Condition.DOWN

    async def _load(self, wanted: Wanted) -> None:
        """Start or reload HAProxy where that is due."""
        running = self._proxy.running()
        if running and self._loaded == wanted.balancer:
            return
        if self._refused and self._refused[0] == wanted.balancer and time.monotonic() < self._refused[1]:
            return
        if not running and self._loaded is not None:
            self.condition = Condition.DOWN
        servers = dict(wanted.servers)
        try:
            await self._proxy.load(render(wanted.balancer, servers))
        except PartFailed as error:
            self._refuse(wanted.balancer, error)
        else:
            self._loaded, self.servers, self._refused = wanted.balancer, servers, None

    def _refuse(self, balancer: LoadBalancer, error: PartFailed) -> None:
        if self._refused is None or self._refused[0] != balancer:
            log.warning("%s", error)
        self._refused = (balancer, time.monotonic() + RETRY_SECONDS)
        self.condition = Condition.IMPAIRED if self._proxy.running() else Condition.DOWN

    async def _reconcile(self, wanted: Mapping[Server, ServerState]) -> None:
        groups = {group.name: group for group in self._loaded.groups} if self._loaded else {}
        # Those that take requests first: a replacement serves before its predecessor stops to.
        for server, state in sorted(wanted.items(), key=lambda item: item[1] is not ServerState.READY):
            if server.group not in groups:
                continue
            if server not in self.servers:
                await self._add(server, options=server_options(secure=groups[server.group].secure))
            if self.servers.get(server) is not state:
                await self._set(server, state)
        for server in self.servers.keys() - wanted.keys():
            await self._remove(server)

    async def _add(self, server: Server, *, options: str) -> None:
        """HAProxy adds a server in maintenance; one that it has already is as good."""
        await self._proxy.ask(f"add server {server.path} {server.address}:{server.port}{options}")
        self.servers = {**self.servers, server: ServerState.MAINT}

    async def _set(self, server: Server, state: ServerState) -> None:
        complaint = (await self._proxy.ask(f"set server {server.path} state {state}")).strip()
        if complaint:
            # It is not there after all: added again at the next pass.
            log.warning("load balancer %s: %s: %s", self.name, server.path, complaint)
            self.servers = {other: known for other, known in self.servers.items() if other != server}
        else:
            self.servers = {**self.servers, server: state}

    async def _remove(self, server: Server) -> None:
        """Cut what is still open, as AWS does when the delay is over. Not gone before its last connection is."""
        path = server.path
        answer = await self._proxy.ask(
            f"set server {path} state maint; shutdown sessions server {path}; del server {path}"
        )
        gone = "Server deleted" in answer or "No such server" in answer
        rest = {other: state for other, state in self.servers.items() if other != server}
        self.servers = rest if gone else {**rest, server: ServerState.MAINT}
