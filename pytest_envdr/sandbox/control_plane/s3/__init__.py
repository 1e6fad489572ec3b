"""S3: objects are bytes that are really kept; here is what of S3's own behaviour moto lacks.

- operations: which operation a request is
- guards, policy: whose bucket it is, what its policy and its ownership controls allow
- checksums: verified when they are sent, reported when they are asked for
- reading, writing, uploads, lists, responses: the answers
- archive: what must be restored before it can be read
- listing, backend: versions and their order, the defaults of a bucket made today
- replication, replicator: what a bucket's configuration says, and who does what it says
- foundings: content that is made when it is first asked for
- filling: buckets filled in this process, for the seed

Not here: replication of what happens to an object later (its tags, ACL and retention), lifecycle (kept, never carried
out), inventory, batch operations, access points, SSE-C, XXHash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane.extension import extend
from pytest_envdr.sandbox.control_plane.s3.archive import Restores
from pytest_envdr.sandbox.control_plane.s3.backend import SandboxS3
from pytest_envdr.sandbox.control_plane.s3.foundings import Foundings
from pytest_envdr.sandbox.control_plane.s3.replicator import Replicator
from pytest_envdr.sandbox.control_plane.s3.responses import extend_responses
from pytest_envdr.sandbox.fidelity import ACTED, SIMULATED, Fidelity

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_loop import Controller
    from pytest_envdr.sandbox.world import World

FIDELITY: dict[str, Fidelity] = {
    # The stored bytes themselves, or what is computed from them: other bytes, another answer.
    "GetObject": ACTED,
    "CopyObject": ACTED,
    # Our rules for versions, order, checksums, owners and restores, over what moto keeps.
    **dict.fromkeys(
        (
            "AbortMultipartUpload",
            "CompleteMultipartUpload",
            "CreateBucket",
            "CreateMultipartUpload",
            "DeleteObject",
            "DeleteObjects",
            "GetBucketEncryption",
            "GetBucketNotificationConfiguration",
            "GetBucketOwnershipControls",
            "GetBucketReplication",
            "GetObjectAttributes",
            "GetObjectRetention",
            "HeadObject",
            "ListBuckets",
            "ListObjectVersions",
            "ListObjects",
            "ListObjectsV2",
            "PutBucketPolicy",
            "PutBucketReplication",
            "PutObject",
            "PutObjectAcl",
            "RestoreObject",
            "UploadPart",
            "UploadPartCopy",
        ),
        SIMULATED,
    ),
}


class S3Controller:
    """Ends restores from the archive, and replicates; nothing else moves by itself here."""

    def __init__(self, restores: Restores, replicator: Replicator) -> None:
        self._restores, self._replicator = restores, replicator

    def step(self) -> None:
        """End the restores whose time has come, and copy what is to be replicated."""
        self._restores.step()
        self._replicator.step()

    def close(self) -> None:
        """Nothing to stop."""


def install(world: World) -> Controller:
    """Put our backend and our answers in moto's place, before the first request."""
    extend("s3", SandboxS3)
    restores = Restores(world)
    extend_responses(world, restores, Foundings(world))
    SandboxS3.replicator = Replicator(world)
    return S3Controller(restores, SandboxS3.replicator)
