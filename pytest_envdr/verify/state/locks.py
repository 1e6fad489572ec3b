"""What a lock on a state says of whoever holds it: the JSON in `<key>.tflock`, or in the lock item's `Info`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Lock:
    """A lock as Terraform writes it (terraform, internal/states/statemgr/locker.go, LockInfo).

    Attributes:
        id: what releases it, exactly.
        operation: "OperationTypeApply", for example.
        who: user and host.
        created: when, in RFC 3339.
        path: bucket and key.
        version: Terraform's.
    """

    id: str
    operation: str = ""
    who: str = ""
    created: str = ""
    path: str = ""
    version: str = ""

    @classmethod
    def parse(cls, text: str) -> Lock:
        """The lock that a text tells of; of one that cannot be read all but the fact is unknown."""
        try:
            row = json.loads(text)
            return cls(*(str(row.get(name, "")) for name in ("ID", "Operation", "Who", "Created", "Path", "Version")))
        except (ValueError, AttributeError):
            return cls("")

    def text(self) -> str:
        """As Terraform writes it."""
        row = {name.title() if name != "id" else "ID": value for name, value in asdict(self).items()}
        return json.dumps({**row, "Info": ""}, sort_keys=True)

    def __str__(self) -> str:
        return f"lock {self.id or 'without an id'} of {self.who or 'nobody known'}, {self.operation}, {self.created}"
