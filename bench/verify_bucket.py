"""Bucket verification, side by side with `rclone check` and `aws s3 sync --dryrun` on the same two buckets.

Both buckets are in one stock moto server, a process of its own with one interpreter lock: it bounds everybody alike, so
the requests an object are what carries over to S3, the seconds are not. Requests are counted in the server's log.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import boto3
from botocore.config import Config

from pytest_envdr.aws import Aws
from pytest_envdr.verify import bucket
from pytest_envdr.waiting import wait_until
from tests import account

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_envdr.verify.bucket import Depth

EXPECTED, ACTUAL = "expected", "actual"
WORKERS = 8
RUNS = 3
DAMAGED = 200
"""How many objects the buckets have that damage is looked for in."""
STORED = {"Tagging": "team=blue", "Metadata": {"author": "ada"}, "ContentType": "text/plain"}
BIG = hashlib.shake_256(b"big").digest(12 * 1024 * 1024)
PART = 6 * 1024 * 1024
SAME_IN_PARTS, CHANGED_IN_PARTS = "big/same", "big/changed"
BUCKET = "the bucket's"

Found: TypeAlias = set[str]
"""Keys that a tool named; of the bucket itself, "the bucket's <part>"."""


def run(say: Callable[..., None], *, objects: int) -> None:
    """Measure on equal buckets; then damage one of two smaller ones and see who notices."""
    with moto() as (endpoint, log):
        seed(client(endpoint), objects)
        tools = {**ours(endpoint), **peers(endpoint)}
        alarms = measure(say, tools, log, objects)
    with moto() as (endpoint, _):
        seed(client(endpoint), min(objects, DAMAGED))
        damages = damage(client(endpoint))
        found = {name: tool() for name, tool in {**ours(endpoint), **peers(endpoint)}.items()}
        table(damages, found, alarms)


@contextmanager
def moto() -> Iterator[tuple[str, Path]]:
    """The URL of a stock moto server, and its log: a line a request."""
    with tempfile.NamedTemporaryFile(suffix=".log") as output:
        log = Path(output.name)
        command = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            "--",
            sys.executable,
            "-m",
            "moto.server",
            "-H",
            "127.0.0.1",
            "-p",
            "0",
        ]
        server = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            url = re.compile(r"http://127\.0\.0\.1:\d+")
            found = wait_until(lambda: url.search(log.read_text()), what="moto's server", deadline=60, interval=0.05)
            yield str(found and found.group()), log
        finally:
            server.kill()
            server.wait()


def client(endpoint: str) -> Any:
    """A plain client."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=account.REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 (a server that asks for none)
        config=Config(max_pool_connections=WORKERS, proxies={}),
    )


def seed(s3: Any, objects: int) -> None:
    """Two equal buckets of small objects, the last of them in folders; one large object that was uploaded in parts on
    one side only."""
    for name in (EXPECTED, ACTUAL):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": account.REGION})
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        owner = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
        s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls=owner)
        s3.put_bucket_policy(Bucket=name, Policy=policy(name))
        s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration={"BlockPublicPolicy": True})
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "tenant", "Value": "acme"}]})
        rule = {"ID": "tmp", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}}
        s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [rule]})
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(lambda number, name=name: put(s3, name, key(number)), range(objects - 2)))
        in_parts(s3, name, CHANGED_IN_PARTS, BIG)
    in_parts(s3, EXPECTED, SAME_IN_PARTS, BIG)
    s3.put_object(Bucket=ACTUAL, Key=SAME_IN_PARTS, Body=BIG)


def key(number: int) -> str:
    """The keys, in folders of a hundred."""
    return f"documents/{number // 100:04}/{number:06}.txt"


def put(s3: Any, name: str, key: str, **changes: Any) -> None:
    """One small object; a tenth of them has tags."""
    stored = {**STORED, **({} if key.endswith("0.txt") else {"Tagging": ""}), **changes}
    s3.put_object(**{"Bucket": name, "Key": key, "Body": f"content of {key}".encode(), **stored})


def in_parts(s3: Any, name: str, key: str, body: bytes) -> None:
    """An upload in two parts."""
    upload = s3.create_multipart_upload(Bucket=name, Key=key)["UploadId"]
    parts = []
    for number in (1, 2):
        piece = body[(number - 1) * PART : number * PART]
        done = s3.upload_part(Bucket=name, Key=key, UploadId=upload, PartNumber=number, Body=piece)
        parts.append({"ETag": done["ETag"], "PartNumber": number})
    s3.complete_multipart_upload(Bucket=name, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})


def policy(name: str) -> str:
    """Plain HTTP may not write."""
    return (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:PutObjectAcl", '
        f'"Resource": "arn:aws:s3:::{name}/*"}}]}}'
    )


def ours(endpoint: str) -> dict[str, Callable[[], Found]]:
    """Our own, at each depth."""
    aws = Aws(account.stack(endpoint=endpoint))

    def compare(depth: Depth, *, history: bool = False) -> Found:
        sources = [bucket.Bucket(aws, name, history=history) for name in (EXPECTED, ACTUAL)]
        with ThreadPoolExecutor(WORKERS) as pool:
            return {one.key for one in bucket.compare(*sources, depth=depth, executor=pool)}

    def configuration() -> Found:
        both = (bucket.configuration(aws, name) for name in (EXPECTED, ACTUAL))
        return {f"{BUCKET} {one.kind}" for one in bucket.compare_configuration(*both)}

    return {
        "envdr listing": lambda: compare("listing"),
        "envdr attributes": lambda: compare("attributes"),
        "envdr bytes": lambda: compare("bytes"),
        "envdr listing with history": lambda: compare("listing", history=True),
        "envdr configuration": configuration,
    }


def peers(endpoint: str) -> dict[str, Callable[[], Found]]:
    """Those that are installed."""
    found: dict[str, Callable[[], Found]] = {}
    if shutil.which("rclone"):
        found["rclone check"] = lambda: rclone(endpoint)
        found["rclone check --download"] = lambda: rclone(endpoint, "--download")
    else:
        sys.stdout.write("rclone is not installed (apt-get install rclone): left out\n")
    if Path("/usr/bin/aws").exists():
        found["aws s3 sync --dryrun --delete"] = lambda: sync(endpoint)
    else:
        sys.stdout.write("/usr/bin/aws is not installed (apt-get install awscli): left out\n")
    return found


def rclone(endpoint: str, *options: str) -> Found:
    """What `rclone check` marks as different, missing or in error."""
    variables = {"TYPE": "s3", "PROVIDER": "Other", "ENDPOINT": endpoint, "FORCE_PATH_STYLE": "true"}
    variables |= {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test", "REGION": account.REGION}
    environment = {"PATH": "/usr/bin:/bin", **{f"RCLONE_CONFIG_M_{name}": value for name, value in variables.items()}}
    command = ["rclone", "check", f"m:{EXPECTED}", f"m:{ACTUAL}", "--combined", "-", "--checkers", str(WORKERS)]
    done = subprocess.run([*command, *options], env=environment, capture_output=True, text=True, check=False)
    return {line[2:] for line in done.stdout.splitlines() if line[:1] in "*+-!"}


def sync(endpoint: str) -> Found:
    """What `aws s3 sync` would copy or delete."""
    environment = {"PATH": "/usr/bin:/bin", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    environment |= {"AWS_DEFAULT_REGION": account.REGION, "AWS_PAGER": ""}
    command = ["/usr/bin/aws", "--endpoint-url", endpoint, "s3", "sync", f"s3://{EXPECTED}", f"s3://{ACTUAL}"]
    done = subprocess.run(
        [*command, "--dryrun", "--delete"], env=environment, capture_output=True, text=True, check=True
    )
    return set(re.findall(rf"^\(dryrun\) (?:copy|delete): s3://(?:{EXPECTED}|{ACTUAL})/(\S+)", done.stdout, re.M))


def measure(
    say: Callable[..., None], tools: dict[str, Callable[[], Found]], log: Path, objects: int
) -> dict[str, Found]:
    """A line of figures for each; what it called different of what is equal. They take turns, so that other work on
    the machine hits all alike; what takes half a minute has one."""
    figures: dict[str, list[float]] = defaultdict(list)
    requests: dict[str, int] = {}
    alarms: dict[str, Found] = {}
    for name in [*tools] * RUNS:
        if figures[name] and figures[name][0] > 30:
            continue
        start, began = log.stat().st_size, time.monotonic()
        alarms[name] = tools[name]()
        figures[name].append(time.monotonic() - began)
        requests[name] = len(re.findall(rb' HTTP/1\.1" ', log.read_bytes()[start:]))
    for name, seconds in figures.items():
        say(f"{objects} objects, {name}: {requests[name] / objects:.3f} requests each", *seconds)
    return alarms


def damage(s3: Any) -> dict[str, str]:
    """One damage each to an object of its own, and to the configuration; damage to key."""
    todo: dict[str, Callable[[str], Any]] = {
        "purged": lambda key: purge(s3, key),
        "a delete marker": lambda key: s3.delete_object(Bucket=ACTUAL, Key=key),
        "another size": lambda key: put(s3, ACTUAL, key, Body=b"short"),
        "a byte, the same size": lambda key: put(s3, ACTUAL, key, Body=f"Content of {key}".encode()),
        "a tag": lambda key: s3.delete_object_tagging(Bucket=ACTUAL, Key=key),
        "a metadata entry": lambda key: put(s3, ACTUAL, key, Metadata={"author": "bob"}),
        "the content type": lambda key: put(s3, ACTUAL, key, ContentType="text/html"),
        "the storage class": lambda key: put(s3, ACTUAL, key, StorageClass="STANDARD_IA"),
        "the encryption": lambda key: put(s3, ACTUAL, key, ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/b"),
        "an older version more": lambda key: put(s3, ACTUAL, key),
    }
    damages = {what: key(10 * number) for number, what in enumerate(todo)}
    for what, act in todo.items():
        act(damages[what])
    put(s3, ACTUAL, "extra.txt")
    wrong = BIG[:-1] + bytes([BIG[-1] ^ 1])
    in_parts(s3, ACTUAL, CHANGED_IN_PARTS, wrong)
    s3.delete_bucket_policy(Bucket=ACTUAL)
    s3.delete_bucket_lifecycle(Bucket=ACTUAL)
    s3.delete_bucket_tagging(Bucket=ACTUAL)
    s3.delete_public_access_block(Bucket=ACTUAL)
    own = {f"{BUCKET} {part}": f"{BUCKET} {part}" for part in ("policy", "lifecycle", "tags", "public-access-block")}
    return {**damages, "one object more": "extra.txt", "a byte of 12 MB in parts": CHANGED_IN_PARTS, **own}


def purge(s3: Any, key: str) -> None:
    """All versions deleted."""
    for version in s3.list_object_versions(Bucket=ACTUAL, Prefix=key)["Versions"]:
        s3.delete_object(Bucket=ACTUAL, Key=key, VersionId=version["VersionId"])


def table(damages: dict[str, str], found: dict[str, Found], alarms: dict[str, Found]) -> None:
    """Who found what, and who called different what is equal."""
    tools = list(found)
    for number, name in enumerate(tools, 1):
        missed = [what for what, key in damages.items() if key not in found[name]]
        false = (found[name] - set(damages.values())) | alarms[name]
        sys.stdout.write(f"{number}) {name}: {len(damages) - len(missed)} of {len(damages)} damages")
        sys.stdout.write(f"; false alarms: {', '.join(sorted(false))}\n" if false else "\n")
    rows: dict[str, list[str]] = defaultdict(list)
    for what, key in damages.items():
        rows[what] = ["found" if key in found[name] else "-" for name in tools]
    numbers = "".join(f"{number:>7})" for number in range(1, len(tools) + 1))
    sys.stdout.write(f"{'damage':<34}{numbers}\n")
    for what, cells in rows.items():
        sys.stdout.write(f"{what:<34}{''.join(f'{cell:>8}' for cell in cells)}\n")
    sys.stdout.flush()
