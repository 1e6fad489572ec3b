"""What is kept of AWS Backup in one account and Region."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_plane.backup.copy_jobs import CopyJob
    from pytest_envdr.sandbox.control_plane.backup.jobs import BackupJob, RestoreJob
    from pytest_envdr.sandbox.control_plane.backup.notifications import Configuration
    from pytest_envdr.sandbox.control_plane.backup.recovery_points import RecoveryPoint
    from pytest_envdr.sandbox.control_plane.backup.restore_testing import TestingPlan
    from pytest_envdr.sandbox.control_plane.backup.schedule import Clock
    from pytest_envdr.sandbox.control_plane.backup.selection import Selection


@dataclass
class State:
    """What is kept of one account and Region beside moto's vaults and plans.

    Attributes:
        active: those of the jobs that have not ended: there are many more that have.
        points: recovery points by ARN.
        selections: by plan, then by their id.
        testing: restore testing plans by name.
        tokens: (operation, idempotency token) -> the job that it made.
        clocks: each plan's, by its id.
    """

    jobs: dict[str, BackupJob] = field(default_factory=dict)
    active: dict[str, BackupJob] = field(default_factory=dict)
    restores: dict[str, RestoreJob] = field(default_factory=dict)
    copies: dict[str, CopyJob] = field(default_factory=dict)
    points: dict[str, RecoveryPoint] = field(default_factory=dict)
    selections: dict[str, dict[str, Selection]] = field(default_factory=dict)
    notifications: dict[str, Configuration] = field(default_factory=dict)
    testing: dict[str, TestingPlan] = field(default_factory=dict)
    tokens: dict[tuple[str, str], str] = field(default_factory=dict)
    clocks: dict[str, Clock] = field(default_factory=dict)
