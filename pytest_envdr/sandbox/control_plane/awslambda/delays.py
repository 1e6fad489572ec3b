"""Lambda's delays, in AWS's seconds, which the sandbox's speed divides. A function's own time-out is not among them: it
is the function's own, as a queue's visibility timeout is the queue's.
"""

from __future__ import annotations

RETRY_SECONDS = (60.0, 120.0)
"""Before the second and the third attempt of an asynchronous invocation that failed ("Error handling for asynchronous
invocation", Lambda developer guide)."""
LEAST_BACKOFF_SECONDS, MOST_BACKOFF_SECONDS = 1.0, 300.0
"""Between two looks at a throttled event: twice as long each time."""
MOST_AGE_SECONDS = 21_600
"""How long an event is kept, unless the function says less."""
CREATION_SECONDS = 2.0
"""How long a new function is Pending; a moment, as its code is in no VPC."""
UPDATE_SECONDS = 3.0
"""How long an update is InProgress, and the function still what it was."""


def backoff(throttles: int) -> float:
    """How long an event waits that was throttled so many times in a row."""
    return float(min(MOST_BACKOFF_SECONDS, LEAST_BACKOFF_SECONDS * 2 ** (throttles - 1)))
