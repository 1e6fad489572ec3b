"""AWS-side times of jobs, in seconds at speed 1 (`World.scaled` divides them).

AWS promises none: "AWS Backup does not have a service-level agreement for a restore time". These are short ones of
small resources, so that states are seen, and in their order.
"""

from __future__ import annotations

CREATED = 3.0
"""From the request until a job is PENDING."""
PENDING = 3.0
"""From then until it is RUNNING."""
RUNNING = 15.0
"""How long a job runs at least; longer if its data take longer."""
RETRY = 60.0
"""Between two attempts to start within the start window (StartBackupJob: "at least every 10 minutes")."""
DELETING = 10.0
"""How long the deletion of a restore test's resource takes."""
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
START_WINDOW = 480 * MINUTE
"""StartWindowMinutes' default: 8 hours."""
COMPLETION_WINDOW = 10080 * MINUTE
"""CompletionWindowMinutes' default: 7 days."""
