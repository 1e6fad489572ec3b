"""EventBridge's delays, in AWS's seconds, which the sandbox's speed divides."""

from __future__ import annotations

PROPAGATION_SECONDS = 5.0
"""How long a rule goes on as before when it is disabled or enabled: "incoming events might continue to match" for "a
short period of time" (DisableRule). AWS names no bound. **[inf]**"""
ARCHIVE_SECONDS = 600.0
"""Until an event is in the archive. AWS names no bound, but ten minutes as what to wait before a replay ("Replaying
archived events", EventBridge user guide); here it is always that long, so that who does not wait is found out."""
REPLAY_SECONDS = 10.0
"""How long a replay is STARTING. **[inf]**"""
MOST_AGE_SECONDS = 86_400
MOST_RETRIES = 185
"""For how long, and how often, a target is tried, where its RetryPolicy says nothing less."""
LEAST_BACKOFF_SECONDS, MOST_BACKOFF_SECONDS = 1.0, 300.0


def backoff(tries: int) -> float:
    """How long a delivery waits that failed so many times."""
    return float(min(MOST_BACKOFF_SECONDS, LEAST_BACKOFF_SECONDS * 2 ** min(tries - 1, 20)))
