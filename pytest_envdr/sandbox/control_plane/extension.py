"""The few places where the sandbox reaches into moto, so that a new release of moto is looked at here first.

moto has no plugin interface. Its seams, used here: `BackendDict.backend` (the class made per account and Region),
`urls.url_paths` (which response class answers), and `BaseResponse.call_action` (every request of every service).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from moto.backends import get_backend
from moto.core.base_backend import backend_lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from moto.core.base_backend import BaseBackend
    from moto.core.responses import BaseResponse

__all__ = ["backend_lock", "every_path", "extend", "moto_urls", "on_each_path"]


def moto_urls(service: str) -> ModuleType:
    """moto's `urls` module of a service; what a backend class outside of moto returns as its `_url_module`."""
    return importlib.import_module(f"moto.{service}.urls")


def extend(service: str, backend: type[BaseBackend]) -> None:
    """Make `backend` the class behind every account and Region of `service`, before the first request."""
    backends = get_backend(service)  # type: ignore[call-overload]
    for holder in (backends, *backends.values()):  # an account that was asked for already has a copy of the class
        holder.backend = backend


def on_each_path(service: str, response: type[BaseResponse]) -> None:
    """Let `response` (a subclass of moto's own) answer all paths of `service`."""
    paths: dict[str, Callable[..., Any]] = moto_urls(service).url_paths
    for path in paths:
        paths[path] = response.dispatch


def every_path(service: str, response: type[BaseResponse]) -> None:
    """Let `response` answer whatever is asked of `service`, paths that moto does not have among it."""
    paths: dict[str, Callable[..., Any]] = moto_urls(service).url_paths
    paths.clear()
    paths["{0}/.*"] = response.dispatch
