"""Control Plane Loss: Terraform's state is lost, and recovered from the versions in its S3 bucket.

1. Kick-off: see that the bucket is the account's own and versioned, that nobody holds the state's lock and that its
   digest is its own; write down lineage, serial, addresses and hashes; see that Terraform can plan, and that the bucket
   could give a state back next year as well. Copy the state's newest versions under a key of the drill's own.
2. Trigger: the state is deleted, cut off, replaced by an older or a foreign one, or deleted with a lock left on it.
3. Observe: ask Terraform for a plan, as whoever comes next would. With a lock table it refuses; with a lock file only
   it says nothing, and would create everything once more.
4. Recover: of all versions choose the one of the right lineage with the highest serial, and write down why not the
   others; put it back, mend the digest, release the lock that was left, by its id.
5. Validate: lineage, serial, addresses and bytes are those of before; the plan's JSON has no change; what the state
   knows is there, by AWS's own word, and what is tagged as managed is in the state.
6. Document: recovery time, serials and resources lost; import blocks for what no state knows. Nothing is applied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.control_plane import LostState

pytestmark = pytest.mark.control_plane_loss

WAYS = [(loss, "copy") for loss in ("deleted", "truncated", "older", "foreign", "locked")] + [("deleted", "original")]


@pytest.mark.parametrize("lost_terraform_state", WAYS, ids=" on the ".join, indirect=True)
def test_recovery(drill: Drill, lost_terraform_state: LostState) -> None:
    """Terraform's state is lost. It comes back from the bucket's versions within the RTO, with the lineage, serial and
    resources of before; the plan is empty, no resource is in no state, and nothing was applied."""
    with drill.phase("observe"):
        detection = lost_terraform_state.wait_until_seen()
        assert detection.said == lost_terraform_state.expected

    with drill.phase("recover"):
        restored = lost_terraform_state.recover()
        assert restored is not None

    with drill.phase("validate"):
        checked = lost_terraform_state.check()

    with drill.phase("document"):
        assert checked.differences == ()
        assert checked.changes == ()
        assert drill.failures == []
        assert drill.rpa_seconds is not None
        assert drill.rpa_seconds <= drill.rpo_seconds
        assert drill.actuals.rta_seconds is not None
        assert drill.actuals.rta_seconds <= drill.rto_seconds
