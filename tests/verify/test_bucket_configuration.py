"""A bucket's configuration: each part that is lost or changed is named, and what means the same is equal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.aws import Aws
from pytest_envdr.errors import AwsError, NotFound
from pytest_envdr.verify.bucket import Difference, compare_configuration, configuration
from pytest_envdr.verify.bucket.configuration import NORMAL, policy, sorted_sets
from tests import account
from tests.verify import buckets
from tests.verify.front import error, front

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DAMAGES: dict[str, tuple[Callable[[Any, str], Any], list[str]]] = {
    "nothing": (lambda _, __: None, []),
    "versioning off": (
        lambda s3, name: s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Suspended"}),
        ["versioning"],
    ),
    "encryption lost": (lambda s3, name: s3.delete_bucket_encryption(Bucket=name), ["encryption"]),
    "policy lost": (lambda s3, name: s3.delete_bucket_policy(Bucket=name), ["policy"]),
    "public access": (lambda s3, name: s3.delete_public_access_block(Bucket=name), ["public-access-block"]),
    "ownership": (
        lambda s3, name: s3.put_bucket_ownership_controls(
            Bucket=name, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
        ),
        ["ownership"],
    ),
    "lifecycle lost": (lambda s3, name: s3.delete_bucket_lifecycle(Bucket=name), ["lifecycle"]),
    "lifecycle changed": (
        lambda s3, name: s3.put_bucket_lifecycle_configuration(
            Bucket=name, LifecycleConfiguration={"Rules": [buckets.expiry(1)]}
        ),
        ["lifecycle"],
    ),
    "notification lost": (
        lambda s3, name: s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={}),
        ["notification"],
    ),
    "CORS lost": (lambda s3, name: s3.delete_bucket_cors(Bucket=name), ["cors"]),
    "CORS changed": (
        lambda s3, name: s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [buckets.cors("PUT")]}),
        ["cors"],
    ),
    "a tag changed": (
        lambda s3, name: s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "tenant", "Value": "other"}]}),
        ["tags"],
    ),
    "acceleration": (
        lambda s3, name: s3.put_bucket_accelerate_configuration(
            Bucket=name, AccelerateConfiguration={"Status": "Enabled"}
        ),
        ["acceleration"],
    ),
    "website": (
        lambda s3, name: s3.put_bucket_website(
            Bucket=name, WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}}
        ),
        ["website"],
    ),
    "logging": (
        lambda s3, name: s3.put_bucket_logging(
            Bucket=name, BucketLoggingStatus={"LoggingEnabled": {"TargetBucket": logs(), "TargetPrefix": ""}}
        ),
        ["logging"],
    ),
}


def logs() -> str:
    """A bucket that S3 may write access logs to."""
    target = buckets.new(versioned=False, enforced=False)
    buckets.s3().put_bucket_acl(
        Bucket=target,
        GrantWrite="uri=http://acs.amazonaws.com/groups/s3/LogDelivery",
        GrantReadACP="uri=http://acs.amazonaws.com/groups/s3/LogDelivery",
    )
    return target


@pytest.fixture
def pair() -> tuple[str, str]:
    """Two buckets with everything configured, alike."""
    names = buckets.new(), buckets.new()
    for name in names:
        buckets.configure(name)
    return names


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_is_found_and_nothing_else(damage: str, pair: tuple[str, str]) -> None:
    """Each part that was lost or changed is one difference of its kind, about the bucket itself; a bucket configured
    alike under another name is equal, its policy among it."""
    act, kinds = DAMAGES[damage]
    act(buckets.s3(), pair[1])
    found = compare_configuration(*(configuration(buckets.aws(), name) for name in pair))
    assert [(one.key, one.kind) for one in found] == [("", kind) for kind in kinds]


def test_a_difference_shows_what_differs_and_no_more(pair: tuple[str, str]) -> None:
    """Of a part with several entries those that differ are shown; a configuration survives JSON."""
    block = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": False}
    buckets.s3().put_public_access_block(
        Bucket=pair[1], PublicAccessBlockConfiguration={**block, "RestrictPublicBuckets": True}
    )
    saved = json.loads(json.dumps(configuration(buckets.aws(), pair[0])))
    (found,) = compare_configuration(saved, configuration(buckets.aws(), pair[1]))
    assert str(found) == (
        'The bucket: public-access-block is {"BlockPublicPolicy": false}, expected {"BlockPublicPolicy": true}.'
    )


def test_what_means_the_same_in_a_policy_is_equal() -> None:
    """One action or a list of it, the order of statements, an account's id or its root, the bucket's own name."""
    first = {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "s3:GetObject", "Sid": "a"}
    first["Resource"] = "arn:aws:s3:::one/*"
    second = {"Effect": "Deny", "Principal": "*", "Action": ["s3:B", "s3:A"], "Resource": ["arn:aws:s3:::one"]}
    third = {**first, "Principal": {"AWS": ["arn:aws:iam::111122223333:root"]}, "Action": ["s3:GetObject"]}
    third["Resource"] = ["arn:aws:s3:::two/*"]
    fourth = {**second, "Principal": {"AWS": "*"}, "Action": ["s3:A", "s3:B"], "Resource": "arn:aws:s3:::two"}
    one = policy(json.dumps({"Version": "2012-10-17", "Statement": [first, second]}), "one")
    two = policy(json.dumps({"Statement": [fourth, third], "Version": "2012-10-17"}), "two")
    assert one == two
    elsewhere = {**fourth, "Resource": "arn:aws:s3:::two-more"}
    assert policy(json.dumps({"Statement": [elsewhere, third], "Version": "2012-10-17"}), "two") != one
    alone = policy(json.dumps({"Version": "2012-10-17", "Statement": first}), "one")
    assert alone == policy(json.dumps({"Version": "2012-10-17", "Statement": [first]}), "one")


@pytest.mark.parametrize(
    ("aspect", "one", "other", "equal"),
    [
        ("encryption", None, {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}, True),
        ("encryption", None, {"Rules": [buckets.kms()]}, False),
        ("versioning", {}, {"Status": "Suspended"}, False),
        ("public-access-block", None, {"BlockPublicAcls": False}, True),
        ("requester-pays", None, "BucketOwner", True),
        ("acceleration", None, "Suspended", True),
        ("notification", {}, {"EventBridgeConfiguration": {}}, False),
        ("lifecycle", {"Rules": [{"ID": "a", "Prefix": ""}]}, {"Rules": [{"ID": "a", "Filter": {}}]}, True),
        ("lifecycle", {"Rules": [{"ID": "a"}, {"ID": "b"}]}, {"Rules": [{"ID": "b"}, {"ID": "a"}]}, True),
        (
            "cors",
            [{"AllowedMethods": ["GET", "PUT"]}, {"AllowedMethods": ["POST"]}],
            [{"AllowedMethods": ["PUT", "GET"]}, {"AllowedMethods": ["POST"]}],
            True,
        ),
        (
            "cors",
            [{"AllowedMethods": ["GET"]}, {"AllowedMethods": ["POST"]}],
            [{"AllowedMethods": ["POST"]}, {"AllowedMethods": ["GET"]}],
            False,
        ),
    ],
)
def test_defaults_and_orders(aspect: str, one: Any, other: Any, *, equal: bool) -> None:
    """What AWS does by default is equal to having asked for it; an order counts where AWS goes by it."""
    assert (sorted_sets(NORMAL[aspect](one)) == sorted_sets(NORMAL[aspect](other))) is equal


def test_what_may_not_be_read_is_never_equal(pair: tuple[str, str]) -> None:
    """A part that S3 refuses to tell is unreadable, on both sides too; the other parts are compared."""

    def refuse(_: str, path: str, __: Mapping[str, str]) -> tuple[int, bytes] | None:
        return (403, error("AccessDenied")) if "?policy" in path else None

    buckets.s3().delete_bucket_cors(Bucket=pair[1])
    with front(refuse) as told:
        aws = Aws(account.stack(endpoint=told.endpoint))
        found = compare_configuration(*(configuration(aws, name) for name in pair))
    assert found[0].kind == "cors"
    assert found[1:] == [Difference("", "unreadable", "policy", "AccessDenied", "AccessDenied")]


def test_a_bucket_that_is_not_there_or_not_ours() -> None:
    """No bucket is NotFound with its name; one that answers 403 says what that may mean."""
    with pytest.raises(NotFound, match="no bucket envelope-nowhere"):
        configuration(buckets.aws(), "envelope-nowhere")

    def foreign(_: str, __: str, headers: Mapping[str, str]) -> tuple[int, bytes] | None:
        return (403, error("AccessDenied")) if headers["x-amz-expected-bucket-owner"] == account.ACCOUNT else None

    with front(foreign) as told, pytest.raises(AwsError, match="belongs to another account") as caught:
        configuration(Aws(account.stack(endpoint=told.endpoint)), buckets.new())
    assert caught.value.code == "403"
