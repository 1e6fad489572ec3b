"""Why a deployment ends before it is complete, and what ECS says of it.

The texts on the circuit breaker, the service events on alarms and NO_CANDIDATE are those that AWS sends. It documents
none for the rest; there the sandbox says the same in the same manner.
"""

from __future__ import annotations

from dataclasses import dataclass

NO_CANDIDATE = "No rollback candidate was found to run the rollback."


@dataclass(frozen=True)
class Failure:
    """What ended a deployment.

    Attributes:
        source: who found it, as `rolloutStateReason` begins.
        finding: what was found.
        because: the same as the service deployment's `statusReason` has it.
    """

    source: str
    finding: str
    because: str

    @property
    def rollout_reason(self) -> str:
        """Of the deployment that failed."""
        return f"{self.source}: {self.finding}."

    def rolling_back(self, deployment: str) -> str:
        """Of the deployment that the service goes back to."""
        return f"{self.source}: rolling back to deploymentId {deployment}."

    @property
    def rolled_back(self) -> str:
        return f"Service deployment rolled back because {self.because}."

    @property
    def stopped(self) -> str:
        return f"Service deployment was stopped because {self.because}."


BREAKER = Failure(
    "ECS deployment circuit breaker", "tasks failed to start", "the circuit breaker threshold was exceeded"
)
ALARM = Failure("ECS deployment alarms", "alarm detected", "one or more alarms went into the ALARM state")
REQUEST = Failure("ECS deployment", "stopped on request", "StopServiceDeployment was requested")
