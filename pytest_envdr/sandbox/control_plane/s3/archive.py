"""Archived objects: their bytes cannot be read before RestoreObject has brought them back, which takes its time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from moto.core.utils import utcnow
from moto.moto_api import state_manager
from moto.s3 import notifications
from moto.s3.notifications import S3NotificationEvent

from pytest_envdr.sandbox.control_plane.s3.bodies import parsed, text
from pytest_envdr.sandbox.control_plane.s3.refusals import Refused, archived

if TYPE_CHECKING:
    from datetime import datetime

    from moto.s3.models import FakeBucket, FakeKey

    from pytest_envdr.sandbox.world import World

ARCHIVED = ("GLACIER", "DEEP_ARCHIVE")
HOUR = 3600.0
SECONDS = {
    ("GLACIER", "Expedited"): 180.0,
    ("GLACIER", "Standard"): 4 * HOUR,
    ("GLACIER", "Bulk"): 8 * HOUR,
    ("DEEP_ARCHIVE", "Standard"): 12 * HOUR,
    ("DEEP_ARCHIVE", "Bulk"): 48 * HOUR,
}
"""How long a restore takes (S3's guide, "Archive retrieval options": the middle of what it says)."""
NEVER = 10**9


@dataclass
class _Restore:
    bucket: FakeBucket
    key: FakeKey
    due: datetime


class Restores:
    """The restores under way, in one sandbox."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._pending: list[_Restore] = []
        # moto ends a restore when it is next asked about; here time does.
        state_manager.set_transition("s3::keyrestore", {"progression": "manual", "times": NEVER})

    def begin(self, bucket: FakeBucket, key: FakeKey, body: bytes) -> int:
        """RestoreObject; the HTTP status: 202, or 200 where only the copy's days are changed.

        Raises:
            Refused: InvalidObjectState: not archived; RestoreAlreadyInProgress.
        """
        if key.storage_class not in ARCHIVED:
            raise Refused(
                "InvalidObjectState", "Restore is not allowed for the object's current storage class", status=403
            )
        asked = parsed(body)
        days = int(text(asked, "Days") or 1)
        if readable(key):
            key.set_expiry(utcnow() + timedelta(days=days))
            return HTTPStatus.OK
        if key.expiry_date is not None:
            raise Refused("RestoreAlreadyInProgress", "Object restore is already in progress", status=409)
        tier = text(asked, "GlacierJobParameters/Tier") or text(asked, "Tier") or "Standard"
        seconds = SECONDS.get((key.storage_class, tier))
        if seconds is None:
            raise Refused("InvalidArgument", f"{tier} retrievals are not supported for {key.storage_class}")
        key.status = "IN_PROGRESS"
        key.restore(days)
        self._pending.append(_Restore(bucket, key, utcnow() + timedelta(seconds=self._world.scaled(seconds))))
        return HTTPStatus.ACCEPTED

    def step(self) -> None:
        """End the restores whose time has come."""
        due = [one for one in self._pending if one.due <= utcnow()]
        for one in due:
            one.key.status = "RESTORED"
            event = S3NotificationEvent.OBJECT_RESTORE_COMPLETED_EVENT
            notifications.send_event(one.bucket.account_id, event, one.bucket, one.key)
            self._pending.remove(one)


def readable(key: FakeKey) -> bool:
    """Whether an object's bytes can be had."""
    return key.storage_class not in ARCHIVED or (key.expiry_date is not None and key.status == "RESTORED")


def require(key: FakeKey) -> None:
    """Refuse to read an archived object.

    Raises:
        Refused: InvalidObjectState.
    """
    if not readable(key):
        raise archived()
