"""Where images are pushed to and pulled from: the account's registry hosts, one a Region."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from moto.core.exceptions import ServiceException
from moto.ecr.models import ecr_backends

from pytest_envdr.sandbox.control_plane.extension import backend_lock
from pytest_envdr.sandbox.images import PushRefused

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_plane.ecr.backend import SandboxEcr
    from pytest_envdr.sandbox.images import Reference

HOST = re.compile(r"(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com")


@dataclass(frozen=True)
class EcrRegistry:
    """The registries of one account, in all Regions; another account's are not served."""

    account: str

    def serves(self, host: str) -> bool:
        """Whether it is one of this account's."""
        match = HOST.fullmatch(host)
        return match is not None and match["account"] == self.account

    def push(self, reference: Reference, manifest: str) -> None:
        """Put a manifest under its tag, which moves if it may.

        Raises:
            PushRefused: there is no such repository, or the tag is immutable and stands for another image.
        """
        try:
            with backend_lock:
                self._backend(reference.host).push(reference.repository, manifest, reference.tag)
        except ServiceException as error:
            raise PushRefused(error.message) from error

    def pull(self, reference: Reference) -> str:
        """The manifest under a tag or digest; the image remembers when it was last pulled.

        Raises:
            LookupError: the repository is not there, or has no such image, or the Region cannot be reached.
        """
        try:
            with backend_lock:
                return self._backend(reference.host).pull(reference.repository, _id(reference))
        except ServiceException as error:
            raise LookupError(error.message) from error

    def _backend(self, host: str) -> SandboxEcr:
        match = HOST.fullmatch(host)
        if match is None:
            raise LookupError(host)
        backend = cast("SandboxEcr", ecr_backends[self.account][match["region"]])
        if backend.world and backend.world.cut_off:
            raise LookupError(f"dial tcp: lookup {host}: i/o timeout")
        return backend


def _id(reference: Reference) -> dict[str, str]:
    return {"imageDigest": reference.digest} if reference.digest else {"imageTag": reference.tag}
