"""Buckets whose first content takes long to make: it is made when their objects are first asked for, and not before.

Whoever asks meanwhile waits for the same making. Where it fails, every request for the bucket's objects is refused from
then on, with the reason; it is not tried again.
"""

from __future__ import annotations

import logging
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING

from pytest_envdr.errors import EnvdrError
from pytest_envdr.sandbox.control_plane.s3.refusals import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_envdr.sandbox.world import World

log = logging.getLogger("envdr.sandbox")


class Foundings:
    """What of `world.bucket_contents` has been made, and what could not be."""

    def __init__(self, world: World) -> None:
        self._owed = world.bucket_contents
        self._locks: dict[str, threading.Lock] = {}
        self._failures: dict[str, str] = {}

    def require(self, bucket: str) -> None:
        """Have a bucket's first content made, once. Not to be called with moto's lock held.

        Raises:
            Refused: it could not be made. With 501, which clients do not ask again after, unlike other 5xx.
        """
        if bucket not in self._owed and bucket not in self._failures:
            return
        with self._locks.setdefault(bucket, threading.Lock()):
            if make := self._owed.get(bucket):
                self._make(bucket, make)
                del self._owed[bucket]
        if bucket in self._failures:
            raise Refused("ContentNotMade", self._failures[bucket], status=HTTPStatus.NOT_IMPLEMENTED)

    def _make(self, bucket: str, make: Callable[[], None]) -> None:
        try:
            make()
        except EnvdrError as error:
            log.exception("the first content of bucket %s", bucket)
            self._failures[bucket] = f"The sandbox could not make the content of bucket {bucket}: {error}"
