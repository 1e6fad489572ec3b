"""`python -m pytest_envdr.sandbox OPTIONS`: the sandbox's own process; OPTIONS is the JSON of `Options`."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

from pytest_envdr.sandbox import guardian
from pytest_envdr.sandbox.options import Options

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_envdr.sandbox.guardian import Networks


def main() -> int:
    """Guard a server; its exit code."""
    options = Options.from_json(sys.argv[1])

    def serve(networks: Networks, directory: Path) -> int:
        # Only the child needs moto; the guardian stays small. What is read at the start stays for good: looking
        # through it for garbage takes a fifth of the start. The server turns collection on again.
        gc.disable()
        from pytest_envdr.sandbox import server  # noqa: PLC0415

        return server.serve(options, networks, directory)

    return guardian.guard(serve)


if __name__ == "__main__":
    sys.exit(main())
