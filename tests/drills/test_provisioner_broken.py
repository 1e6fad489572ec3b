"""Each way in which a tenant's bucket made by hand may go wrong turns its own finding red, and no other.

One drill is held when its bucket is made, broken in one way after the other, and mended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.drills.provisioner_rig import Hand, Rehearsal, disabling
from tests.drills.restored import exercising

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_envdr.exercise import Exercise


@pytest.fixture(scope="module")
def begun(battered_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exercise]:
    """A run on the sandbox, behind which all is as before."""
    with exercising(battered_stack, tmp_path_factory.mktemp("provisioner-broken")) as begun:
        hand = Hand(begun.aws)
        before = hand.left()
        yield begun
        assert hand.left() == before


@pytest.fixture(scope="module")
def held(begun: Exercise) -> Iterator[Rehearsal]:
    """A drill whose bucket is made by hand."""
    with disabling(begun) as rehearsal:
        rehearsal.disabled.recover()
        yield rehearsal


def test_nothing_broken(held: Rehearsal) -> None:
    """Nothing is found where nobody broke anything: what the tests below see is what they did."""
    assert held.checked() == []
    assert held.drill.since("verified") != 0.0


@pytest.mark.sweep
def test_without_its_policy(held: Rehearsal) -> None:
    """A step of the procedure that was left out: the policy."""
    s3, where = held.hand.client("s3"), {"Bucket": held.bucket}
    policy = s3.get_bucket_policy(**where)["Policy"]
    s3.delete_bucket_policy(**where)
    try:
        assert held.checked() == ["bucket.policy"]
    finally:
        s3.put_bucket_policy(**where, Policy=policy)


@pytest.mark.sweep
def test_without_its_tags(held: Rehearsal) -> None:
    """The tags, which are what a bill and a policy may go by."""
    s3, where = held.hand.client("s3"), {"Bucket": held.bucket}
    tags = s3.get_bucket_tagging(**where)["TagSet"]
    s3.delete_bucket_tagging(**where)
    try:
        assert held.checked() == ["bucket.tags"]
    finally:
        s3.put_bucket_tagging(**where, Tagging={"TagSet": tags})


@pytest.mark.sweep
def test_another_tenants_tags(held: Rehearsal) -> None:
    """Copied from the tenant that it is to be like, with that one's name in them."""
    s3, where = held.hand.client("s3"), {"Bucket": held.bucket}
    tags = s3.get_bucket_tagging(**where)["TagSet"]
    theirs = s3.get_bucket_tagging(Bucket=held.disabled.case.like.bucket)["TagSet"]
    s3.put_bucket_tagging(**where, Tagging={"TagSet": theirs})
    try:
        assert held.checked() == ["bucket.tags"]
    finally:
        s3.put_bucket_tagging(**where, Tagging={"TagSet": tags})


@pytest.mark.sweep
def test_a_record_of_another_bucket(held: Rehearsal) -> None:
    """The bucket is as it shall be, and the application looks elsewhere."""
    noted, slug = "UPDATE tenants SET bucket = %s WHERE slug = %s", held.disabled.tenant.slug
    held.hand.sql(noted, "elsewhere", slug)
    try:
        assert held.checked() == ["tenant.record"]
    finally:
        held.hand.sql(noted, held.bucket, slug)
