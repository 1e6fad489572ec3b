"""How one service calls another, as AWS's own do: over the API, and so under every rule of the other one.

Only for threads that may wait, never for the control loop nor while the lock is held.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from pytest_envdr.sandbox.world import World


class Caller:
    """Clients of the sandbox's own API, each made when first asked for."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._clients: dict[str, Any] = {}
        # boto3 makes clients one at a time only; one thread does that, where others would take a lock.
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="caller")

    def client(self, service: str) -> Any:
        """The boto3 client of a service; may be used by many threads."""
        return self._clients.get(service) or self._maker.submit(self._made, service).result()

    def close(self) -> None:
        """End the thread that makes clients."""
        self._maker.shutdown(wait=False, cancel_futures=True)

    def _made(self, service: str) -> Any:
        if service not in self._clients:
            session: Any = boto3.Session(aws_access_key_id="sandbox", aws_secret_access_key="sandbox")  # noqa: S106
            self._clients[service] = session.client(
                service,
                region_name=self._world.region,
                endpoint_url=self._world.endpoint,
                config=Config(
                    proxies={},
                    s3={"addressing_style": "path"},
                    retries={"mode": "standard", "total_max_attempts": 3},
                    ignore_configured_endpoint_urls=True,  # type: ignore[call-arg] # the stubs do not know it
                ),
            )
        return self._clients[service]
