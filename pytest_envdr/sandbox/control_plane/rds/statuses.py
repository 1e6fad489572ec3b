"""The words that RDS has for how an instance is. User Guide: Overview.DBInstance.Status."""

from __future__ import annotations

AVAILABLE = "available"
BACKING_UP = "backing-up"
CREATING = "creating"
DELETING = "deleting"
MODIFYING = "modifying"
REBOOTING = "rebooting"
RENAMING = "renaming"
RESETTING = "resetting-master-credentials"
STARTING = "starting"
STOPPED = "stopped"
STOPPING = "stopping"

FAILED = "failed"
INCOMPATIBLE_PARAMETERS = "incompatible-parameters"
INCOMPATIBLE_RESTORE = "incompatible-restore"

SERVING = frozenset({AVAILABLE, BACKING_UP, MODIFYING, RENAMING, RESETTING})
"""A server is there, and if it dies in one of these it is recovered."""
BROKEN = frozenset({FAILED, INCOMPATIBLE_RESTORE})
"""Ends that an instance can only be deleted from, without a final snapshot."""
DEAD = BROKEN | {INCOMPATIBLE_PARAMETERS}
"""No server runs, and none is started without being asked for."""
