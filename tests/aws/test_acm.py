"""ACM: which hosts a Region's certificates are for."""

from __future__ import annotations

from pytest_envdr.aws import Aws, acm
from tests import account


def test_a_certificate_tells_its_hosts() -> None:
    """Its names and its status; a wildcard stands for one label, and not for none."""
    name = f"{account.unique('host')}.example"
    account.plain("acm").request_certificate(
        DomainName=name, SubjectAlternativeNames=[f"*.{name}"], ValidationMethod="DNS"
    )
    found = next(one for one in acm.certificates(Aws(account.stack())) if name in one.names)
    assert found.status in {"PENDING_VALIDATION", "ISSUED"}
    assert [found.covers(host) for host in (name, f"api.{name}", f"a.b.{name}", "other.example")] == [
        True,
        True,
        False,
        False,
    ]
