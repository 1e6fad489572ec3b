"""How long AWS takes for each step, in AWS's seconds: divide by `World.speed` before use.

Where AWS documents no figure, the value is what Fargate tasks of a small image usually show.
"""

from __future__ import annotations

PROVISIONING_SECONDS = 2.0
"""Attaching the elastic network interface (lastStatus PROVISIONING)."""

PULL_SECONDS = 4.0
"""Pulling the image, from pullStartedAt to pullStoppedAt (lastStatus PENDING)."""

DEPROVISIONING_SECONDS = 2.0
"""Detaching the network interface (lastStatus DEPROVISIONING)."""

STOP_TIMEOUT_SECONDS = 30.0
"""From SIGTERM to SIGKILL where the container definition has no `stopTimeout` (ECS API reference, StopTask)."""

STOPPED_VISIBLE_SECONDS = 3600.0
"""Stopped tasks stay visible for about an hour (ECS developer guide, "stopped task errors")."""

UNCHECKED_HEALTHY_SECONDS = 40.0
"""A task without any health check counts towards minimumHealthyPercent this long after RUNNING (ECS API reference,
DeploymentConfiguration)."""

STEADY_REPEAT_SECONDS = 6 * 3600.0
"""A service that stays steady says so again this often (ECS developer guide, "service event messages")."""

RESTART_FIRST_SECONDS = 10.0
"""Wait before the second attempt of a task that never ran; each further failure doubles it. AWS documents only the
longest."""

RESTART_LONGEST_SECONDS = 900.0
"""No wait between attempts is longer (ECS developer guide, "service throttle logic")."""

OUTPUT_FLUSH_SECONDS = 1.0
"""Wall seconds, not AWS's: how long a task waits for its last lines to be in the log before it is STOPPED."""

CHECK_TIMEOUT_FLOOR_SECONDS = 1.0
"""Wall seconds, not AWS's: no health-check command gets less time, because its work is the application's own."""
