"""Stack files for tests of the plugin: a stock moto server stands behind the API, nothing behind the probes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests import account

if TYPE_CHECKING:
    from pathlib import Path

APPROVED = {"ecs_failover": {"by": "the tests"}}
PROMISED = {"ecs_failover": {"rto_seconds": 30}}


def write(directory: Path, **changes: Any) -> Path:
    """A complete stack file in a directory; `changes` replace whole top-level keys, None takes one away."""
    content: dict[str, Any] = {
        "name": "test",
        "kind": "sandbox",
        "endpoint": changes["endpoint"] if "endpoint" in changes else account.endpoint(),
        "account": account.ACCOUNT,
        "region": account.REGION,
        "credentials": {"access_key_id": "test", "secret_access_key": "test"},
        "services": {
            word: {
                "name": f"prod-{word}",
                "cluster": account.CLUSTER,
                "probe": {"kind": "http", "url": "http://127.0.0.1:1"},
            }
            for word in ("api", "worker")
        },
        "notifications": {"topic": account.TOPIC},
        "objectives": PROMISED,
        "approvals": APPROVED,
    }
    content = {key: value for key, value in (content | changes).items() if value is not None}
    path = directory / "stack.toml"
    path.write_text("\n".join(_lines("", content)) + "\n")
    return path


def _lines(prefix: str, table: dict[str, Any]) -> list[str]:
    plain = [f"{key} = {json.dumps(value)}" for key, value in table.items() if not isinstance(value, dict)]
    tables = [(f"{prefix}{key}", value) for key, value in table.items() if isinstance(value, dict)]
    return plain + [line for name, value in tables for line in ("", f"[{name}]", *_lines(f"{name}.", value))]
