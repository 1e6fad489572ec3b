"""HAProxy as the part behind a load balancer: what its configuration makes it do; started, replaced, stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from pytest_envdr.errors import MissingProgram, PartFailed
from pytest_envdr.sandbox.data_plane import haproxy
from pytest_envdr.sandbox.data_plane.haproxy import HAProxy
from pytest_envdr.sandbox.data_plane.haproxy_config import (
    Condition,
    Fixed,
    Forward,
    Group,
    Listener,
    LoadBalancer,
    Redirect,
    Rule,
    Server,
    ServerState,
    Subject,
    quoted,
    render,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS, TARGET, PORT = "127.213.16.10", "127.213.16.20", 8080
LISTENER = Listener(PORT, (Rule((), Forward((("g", 1),))),))
BALANCER = LoadBalancer(ADDRESS, 5999, (LISTENER,), (Group("g"),), idle_timeout=5, connect_timeout=1)
SERVER = Server("g", TARGET, 8000)
READY = {SERVER: ServerState.READY}


class Slow(BaseHTTPRequestHandler):
    """Answers `/slow` when it is released."""

    started = threading.Event()
    release = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/slow":
            self.started.set()
            self.release.wait(20)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def target() -> Iterator[None]:
    server = ThreadingHTTPServer((TARGET, 8000), Slow)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield
    server.shutdown()
    server.server_close()


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[HAProxy]:
    # Deeper than a socket's path may be.
    part = HAProxy(tmp_path / ("deep" * 30), name="the load balancer")
    yield part
    part.stop()


def load(proxy: HAProxy, balancer: LoadBalancer = BALANCER, servers: dict[Server, ServerState] | None = None) -> None:
    asyncio.run(proxy.load(render(balancer, READY if servers is None else servers)))


def ask(proxy: HAProxy, command: str) -> str:
    return asyncio.run(proxy.ask(command))


def status(path: str = "/", **headers: str) -> int:
    """The status that a client gets."""
    request = Request(f"http://{ADDRESS}:{PORT}{path}", headers=headers)
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=20) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


@pytest.mark.usefixtures("target")
def test_servers_come_and_go_at_run_time(proxy: HAProxy) -> None:
    """A server added through the runtime API serves once it is ready, and is removed again: 503 without one."""
    load(proxy, servers={})
    assert status() == 503
    ask(proxy, f"add server {SERVER.path} {TARGET}:8000")
    assert status() == 503
    ask(proxy, f"set server {SERVER.path} state ready")
    assert status() == 200
    ask(proxy, f"set server {SERVER.path} state maint; del server {SERVER.path}")
    assert status() == 503


@pytest.mark.usefixtures("target")
def test_a_reload_keeps_the_servers_and_the_open_requests(proxy: HAProxy) -> None:
    """A reload takes the listening sockets over: the open request finishes, new ones see the new rules."""
    load(proxy)
    first = proxy.pid
    answers: list[int] = []
    client = threading.Thread(target=lambda: answers.append(status("/slow")))
    client.start()
    assert Slow.started.wait(10)
    teapot = Rule((Condition(Subject.PATH, ("^/tea$",)),), Fixed(418, "text/plain", "short and stout"))
    load(proxy, replace(BALANCER, listeners=(replace(LISTENER, rules=(teapot, *LISTENER.rules)),)))
    assert proxy.pid != first
    assert (status("/tea"), status()) == (418, 200)
    assert answers == []
    Slow.release.set()
    client.join(10)
    assert answers == [200]


@pytest.mark.usefixtures("target")
def test_a_refused_configuration_leaves_the_old_one_running(proxy: HAProxy) -> None:
    """What HAProxy does not accept is an error with its own words; the process that ran still serves."""
    load(proxy)
    with pytest.raises(PartFailed, match="nonsense"):
        asyncio.run(proxy.load(render(BALANCER, READY) + "nonsense\n"))
    assert proxy.running()
    assert status() == 200


def test_a_hanging_process_is_told_from_a_dead_one(proxy: HAProxy) -> None:
    """A stopped HAProxy runs but does not answer in time; a killed one does not run."""
    load(proxy)
    assert proxy.pid is not None
    os.kill(proxy.pid, signal.SIGSTOP)
    with pytest.raises(TimeoutError):
        ask(proxy, "show version")
    assert proxy.running()
    os.kill(proxy.pid, signal.SIGKILL)
    while proxy.running():
        pass


def test_stop_leaves_nothing(proxy: HAProxy) -> None:
    """After stop there is no process; stopping again is harmless."""
    load(proxy)
    pid = proxy.pid
    proxy.stop()
    proxy.stop()
    assert not Path(f"/proc/{pid}").exists()


def test_missing_haproxy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the program the error names it, where it was looked for and the package that brings it."""
    monkeypatch.setattr(haproxy, "search_path", lambda: "/nowhere")
    with pytest.raises(MissingProgram, match=r"haproxy not found.\nLooked at: /nowhere\nTo go on: apt-get .* haproxy"):
        haproxy.check_installed()


@pytest.mark.parametrize(
    "text", ['"; quit', "a b\tc", "$HOME ${HOME}", "back\\slash", "line\nbreak", "#comment", "ünï'", "%[src]", "} {"]
)
def test_no_text_of_a_user_can_break_out(proxy: HAProxy, text: str) -> None:
    """Whatever a rule holds, HAProxy takes the configuration: it is one word without a meaning."""
    rules = (
        Rule(
            (Condition(Subject.PATH, (f"^{text.replace('{', '.').replace('}', '.')}$",)),),
            Fixed(200, "text/plain", text),
        ),
        Rule((Condition(Subject.METHOD, ("PUT",)),), Redirect(302, f"http://#{{host}}/{text}")),
        *LISTENER.rules,
    )
    load(proxy, replace(BALANCER, listeners=(Listener(PORT, rules),)), servers={})
    assert status() == 503
    assert len(quoted(text).split("\n")) == 1


def test_weights_share_and_a_weight_of_zero_gets_nothing() -> None:
    """Shares follow the weights; a group of weight 0 is not named at all, and without any there is a 503."""
    some = render(replace(BALANCER, listeners=(Listener(1, (Rule((), Forward((("a", 1), ("b", 3), ("c", 0)))),)),)), {})
    none = render(replace(BALANCER, listeners=(Listener(1, (Rule((), Forward((("a", 0),))),)),)), {})
    assert "rand(4)" in some
    assert "use_backend a if { var(txn.rule) -m str r0 } { var(txn.draw) -m int lt 1 }" in some
    assert "use_backend b if { var(txn.rule) -m str r0 }\n" in some
    assert "use_backend c" not in some
    assert "return status 503 errorfile 503.http if { var(txn.rule) -m str r0 }" in none
