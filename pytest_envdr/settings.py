"""Every option, ini key and environment variable."""

from __future__ import annotations

import os


def search_path() -> str:
    """Where programs are looked for: the user's PATH, then the system directories (`mariadbd` is in /usr/sbin)."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
