"""The one retry and polling policy."""

from __future__ import annotations

import time


def pause(seconds: float) -> None:
    """Sleep; the only place that does."""
    time.sleep(seconds)
