"""The client outside, against a real server that goes down and up."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.probe import Answer, Probe, Sample, check_for, samples
from pytest_envdr.stack import HeartbeatProbe, HttpProbe, JobProbe, WebSocketProbe
from pytest_envdr.waiting import wait_until
from tests.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_envdr.probe import Check


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    shop.start()
    yield shop
    shop.stop()


@contextmanager
def asking(check: Check, hertz: float = 25) -> Iterator[Probe]:
    with Probe(check, hertz=hertz) as probe:
        wait_until(lambda: len(probe.samples), lambda count: count >= 3, what="three samples", deadline=20)
        yield probe


def wait_for(probe: Probe, *, ok: bool, count: int = 3) -> float:
    """Until the last `count` samples sent from now on are all good, or all bad; the instant of the asking."""
    now = time.monotonic()
    look = samples.row if ok else samples.trailing_failures
    wait_until(
        lambda: look(probe.samples, since=now), lambda row: len(row) >= count, what=f"{count} x {ok}", deadline=30
    )
    return now


def test_a_server_that_goes_down_and_up_is_an_outage_with_both_ends(shop: Shop) -> None:
    """Answers are good, then refused while nothing listens, then good again; the outage's ends enclose the stop."""
    with asking(check_for(HttpProbe(url=shop.url))) as probe:
        before = wait_for(probe, ok=True)
        shop.stop()
        down = time.monotonic()
        wait_for(probe, ok=False)
        up = time.monotonic()
        shop.start()
        wait_for(probe, ok=True)
        outage = samples.outage(probe.samples, since=before)
    assert outage.began is not None
    assert outage.ended is not None
    assert outage.began >= before
    assert outage.ended >= up
    assert outage.failures["refused"] >= 3
    assert set(outage.failures) <= {"refused", "closed", "reset"}
    assert outage.seconds is not None
    assert outage.seconds >= up - max(down, outage.began)


def test_a_slow_answer_does_not_lower_the_rate(shop: Shop) -> None:
    """While each answer takes many periods, requests still go out one a period, and the next is not held back."""
    shop.delay = 1.0
    with Probe(check_for(HttpProbe(url=shop.url)), hertz=20) as probe:
        wait_until(lambda: len(probe.samples), lambda count: count >= 40, what="40 samples", deadline=30)
        sent = [sample.sent for sample in probe.samples]
    assert all(sample.ok for sample in probe.samples[:40])
    assert sum(other - sent[20] < 1.0 for other in sent[21:]) >= 5, "one at a time, none would have been sent in it"
    assert samples.error_seconds(probe.samples, since=sent[0]) >= 1.0


@pytest.mark.parametrize("kind", [HttpProbe, WebSocketProbe])
def test_the_verdict_is_on_the_value(shop: Shop, kind: type[HttpProbe | WebSocketProbe]) -> None:
    """An answer of the right form with another value is a failure of its own class."""
    check = check_for(kind(url=shop.url))
    assert check() == Answer(ok=True, status=101 if kind is WebSocketProbe else 200, value_ok=True)
    shop.spoil = True
    answer = check()
    assert (answer.ok, answer.value_ok, answer.error) == (False, False, "wrong value")


@pytest.mark.parametrize("kind", [HttpProbe, WebSocketProbe, JobProbe, HeartbeatProbe])
@pytest.mark.parametrize("status", [500, 503, 302])
def test_any_other_status_is_a_failure(shop: Shop, kind: type[Any], status: int) -> None:
    """Only 200 (101 for a WebSocket) is good: a redirect to a maintenance page is not."""
    shop.status = status
    assert check_for(kind(url=shop.url))() == Answer(ok=False, status=status, error=f"http {status}")


@pytest.mark.parametrize("kind", [HttpProbe, HeartbeatProbe])
@pytest.mark.parametrize("body", [b"<html>It works</html>", b"[]", b'"x"', b""])
def test_a_body_of_another_form_is_a_failure(shop: Shop, kind: type[Any], body: bytes) -> None:
    """A 200 with a page instead of the JSON object ends as `not json`, not as an exception."""
    shop.body = body
    with asking(check_for(kind(url=shop.url))) as probe:
        assert {sample.answer.error for sample in probe.samples} == {"not json"}


def test_the_host_name_is_the_one_routed_by(shop: Shop) -> None:
    """A probe with `host` asks the load balancer's address under that name."""
    assert check_for(HttpProbe(url=shop.url, host="api.envelope.test"))().ok
    assert shop.hosts == {"api.envelope.test"}


def test_an_answer_that_never_comes_is_a_timeout(shop: Shop) -> None:
    """The wait for an answer is bounded."""
    shop.delay = 30
    with Probe(check_for(HttpProbe(url=shop.url), timeout_seconds=0.3), hertz=5) as probe:
        wait_until(lambda: probe.samples, what="a sample", deadline=20)
        assert probe.samples[0].answer.error == "timeout"


def test_no_proxy_is_used(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the environment is passed by."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert check_for(HttpProbe(url=shop.url))().ok


def test_a_job_is_good_when_it_was_done(shop: Shop) -> None:
    """Jobs put in while nobody works are `not done`; the first that was done after that ends the outage."""
    with asking(check_for(JobProbe(url=shop.url, within_seconds=1)), hertz=5) as probe:
        since = wait_for(probe, ok=True)
        shop.working = False
        wait_for(probe, ok=False)
        back = time.monotonic()
        shop.working = True
        shop.work()
        wait_for(probe, ok=True)
        outage = samples.outage(probe.samples, since=since)
    assert outage.failures.keys() == {"not done"}
    assert outage.ended is not None
    assert outage.ended >= back


def test_a_heartbeat_is_good_while_new_numbers_come(shop: Shop) -> None:
    """The same number again is good only while it is fresh, and never proof of work."""
    with asking(check_for(HeartbeatProbe(url=shop.url, within_seconds=3))) as probe:
        wait_for(probe, ok=False)
        since = time.monotonic()
        assert probe.samples[0].ok, "the last heartbeat was fresh"
        assert not probe.samples[0].answer.proof, "but it came before the first question"
        shop.sequence += 1
        wait_until(lambda: samples.row(probe.samples, since=since), what="a new number", deadline=20)
        first = samples.row(probe.samples, since=since)[0]
    assert first.answer.proof
    assert {sample.answer.error for sample in probe.samples if not sample.ok} == {"no heartbeat"}


def test_leaving_does_not_wait_for_jobs_that_are_never_done(shop: Shop) -> None:
    """A probe whose jobs nobody does is left at once, though each may take an hour."""
    shop.working = False
    with Probe(check_for(JobProbe(url=shop.url, within_seconds=3600)), hertz=5):
        wait_until(lambda: len(shop.done), lambda count: count >= 3, what="three jobs", deadline=20)


def test_every_sample_reaches_the_sink(shop: Shop) -> None:
    """What is kept is also told, as it happens."""
    told: list[Sample] = []
    with Probe(check_for(HttpProbe(url=shop.url)), sink=told.append, hertz=25) as probe:
        wait_until(lambda: len(told), lambda count: count >= 5, what="five samples", deadline=20)
    assert set(told[:5]) <= set(probe.samples)


def sample(sent: float, *, ok: bool = True, proof: bool = True, blur: float | None = None) -> Sample:
    return Sample(sent, sent + 0.1, Answer(ok=ok, proof=proof, error=None if ok else "refused", blur_seconds=blur))


def test_the_row_begins_after_the_last_failure_with_a_proof() -> None:
    """Good answers before a failure, before `since` or without proof do not count."""
    told = [sample(0), sample(1), sample(2, ok=False), sample(3, proof=False), sample(4), sample(5)]
    assert [one.sent for one in samples.row(told, since=0)] == [4, 5]
    assert [one.sent for one in samples.row(told, since=5)] == [5]
    assert samples.row(told[:3], since=0) == []


def test_an_outage_without_a_good_answer_after_it_has_no_end() -> None:
    """While it lasts, it has no length; without a failure, its length is nought."""
    assert samples.outage([sample(0), sample(1, ok=False)], since=0).seconds is None
    assert samples.outage([sample(0), sample(1)], since=0).seconds == 0


def test_the_error_is_the_widest_gap_and_the_slowest_answer() -> None:
    """A request that was not sent in time widens the error; so does an answer seen late."""
    told = [sample(0), sample(0.2), sample(1.0), sample(1.2, blur=0.5)]
    assert samples.error_seconds(told, since=0) == pytest.approx(0.8 + 0.5)
    assert samples.error_seconds(told, since=5) == 0
