"""FIS: faults that AWS itself injects, and takes back at the end of their time whatever becomes of this run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pytest_envdr.aws import Act
from pytest_envdr.journal import Inverse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_envdr.aws import Aws
    from pytest_envdr.journal import Journal

CUT_OFF = "aws:network:route-table-disrupt-cross-region-connectivity"
"""Routes of subnets to another Region are replaced by ones that lead nowhere (FIS user guide, actions reference)."""
ENDED = frozenset({"completed", "stopped", "failed", "cancelled"})


@dataclass(frozen=True)
class Experiment:
    """An experiment: `status` is pending, initiating, running, completed, stopping, stopped, failed or cancelled."""

    id: str
    template: str
    status: str
    reason: str
    tags: Mapping[str, str]

    @property
    def ended(self) -> bool:
        return self.status in ENDED


def create_cut_off(
    aws: Aws,
    journal: Journal,
    *,
    subnets: Sequence[str],
    region: str,
    role: str,
    minutes: int,
    tags: Mapping[str, str],
) -> str:
    """An experiment template that cuts subnets off from another Region; its id. Nothing happens yet.

    Args:
        aws: the Region of the subnets.
        journal: where its deletion is written first.
        subnets: their ARNs.
        region: which one they shall not reach.
        role: what FIS acts as.
        minutes: after which FIS ends the experiment by itself.
        tags: its tags.
    """
    exercise = journal.header.exercise
    said = {
        "clientToken": str(uuid4()),
        "description": f"envdr: {region} is not there",
        "roleArn": role,
        "stopConditions": [{"source": "none"}],
        "targets": {
            "subnets": {
                "resourceType": "aws:ec2:subnet",
                "resourceArns": sorted(subnets),
                "selectionMode": "ALL",
            }
        },
        "actions": {
            "cut-off": {
                "actionId": CUT_OFF,
                "parameters": {"duration": f"PT{minutes}M", "region": region},
                "targets": {"Subnets": "subnets"},
            }
        },
        "tags": dict(tags),
    }
    inverse = Inverse(
        "fis.DeleteExperimentTemplate", {"exercise": exercise}, f"no experiment template of exercise {exercise}"
    )
    act = Act("fis.CreateExperimentTemplate", said, inverse, f"The experiment that cuts {region} off cannot be set up")

    def kept(answer: dict[str, Any]) -> dict[str, Any]:
        return {"id": answer["experimentTemplate"]["id"]}

    return str(aws.act(journal, act, kept=kept)["experimentTemplate"]["id"])


def start(aws: Aws, journal: Journal, template: str, *, tags: Mapping[str, str], what: str) -> Experiment:
    """Start an experiment; `what` it does, in words. It is pending when this returns."""
    inverse = Inverse(
        "fis.StopExperiment", {"exercise": journal.header.exercise}, f"no experiment under way that has {what}"
    )
    said = {"clientToken": str(uuid4()), "experimentTemplateId": template, "tags": dict(tags)}
    act = Act("fis.StartExperiment", said, inverse, f"The experiment cannot be started by which {what}")
    return _experiment(aws.act(journal, act, kept=lambda answer: {"id": answer["experiment"]["id"]})["experiment"])


def experiment(aws: Aws, identifier: str) -> Experiment:
    """An experiment as it is.

    Raises:
        NotFound: there is none of that id.
    """
    what = f"Experiment {identifier} cannot be looked at"
    return _experiment(aws.call("fis.GetExperiment", what=what, id=identifier)["experiment"])


def experiments_of(aws: Aws, exercise: str) -> list[Experiment]:
    """The experiments that an exercise started."""
    rows = aws.pages("fis.ListExperiments", "experiments", what="The experiments cannot be listed")
    return [_experiment(row) for row in rows if row.get("tags", {}).get("envdr:exercise") == exercise]


def templates_of(aws: Aws, exercise: str) -> list[str]:
    """The ids of the templates that an exercise set up."""
    rows = aws.pages("fis.ListExperimentTemplates", "experimentTemplates", what="The templates cannot be listed")
    return [row["id"] for row in rows if row.get("tags", {}).get("envdr:exercise") == exercise]


def _experiment(row: Mapping[str, Any]) -> Experiment:
    state = row.get("state", {})
    return Experiment(
        row["id"],
        row.get("experimentTemplateId", ""),
        state.get("status", ""),
        state.get("reason", ""),
        dict(row.get("tags", {})),
    )
