"""Restore testing plans and their selections in the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult, EmptyResult

from pytest_envdr.sandbox.control_plane.backup import restore_testing
from pytest_envdr.sandbox.control_plane.backup.copy_responses import CopyResponses
from pytest_envdr.sandbox.control_plane.backup.paging import page

if TYPE_CHECKING:
    from pytest_envdr.sandbox.control_plane.backup.restore_testing import TestingPlan, TestingSelection


class AllBackupResponses(CopyResponses):
    """Everything that the sandbox's AWS Backup answers."""

    # moto finds a response's operations by the names of its methods, those of its parents among them.

    def create_restore_testing_plan(self) -> ActionResult:
        given = self._given()
        plan = restore_testing.create_plan(self.sandbox, given["RestoreTestingPlan"], given.get("CreatorRequestId"))
        if given.get("Tags"):
            self.sandbox.tag_resource(plan.arn, given["Tags"])
        return ActionResult(_plan(plan))

    def get_restore_testing_plan(self) -> ActionResult:
        return ActionResult({"RestoreTestingPlan": self._plan().shown()})

    def list_restore_testing_plans(self) -> ActionResult:
        rows = [plan.shown() for plan in self.sandbox.state.testing.values()]
        return ActionResult(page(rows, "RestoreTestingPlans", self._given()))

    def update_restore_testing_plan(self) -> ActionResult:
        given = self._given()
        plan = restore_testing.update_plan(self.sandbox, given["RestoreTestingPlanName"], given["RestoreTestingPlan"])
        return ActionResult(_plan(plan) | {"UpdateTime": plan.updated})

    def delete_restore_testing_plan(self) -> EmptyResult:
        restore_testing.delete_plan(self.sandbox, self._given()["RestoreTestingPlanName"])
        return EmptyResult()

    def create_restore_testing_selection(self) -> ActionResult:
        given = self._given()
        document = given["RestoreTestingSelection"]
        selection = restore_testing.create_selection(self.sandbox, given["RestoreTestingPlanName"], document)
        return ActionResult(self._selected(selection))

    def get_restore_testing_selection(self) -> ActionResult:
        return ActionResult({"RestoreTestingSelection": self._selection().shown()})

    def list_restore_testing_selections(self) -> ActionResult:
        rows = [selection.shown() for selection in self._plan().selections.values()]
        return ActionResult(page(rows, "RestoreTestingSelections", self._given()))

    def update_restore_testing_selection(self) -> ActionResult:
        given = self._given()
        selection = restore_testing.update_selection(
            self.sandbox,
            given["RestoreTestingPlanName"],
            given["RestoreTestingSelectionName"],
            given["RestoreTestingSelection"],
        )
        return ActionResult(self._selected(selection) | {"UpdateTime": self.sandbox.now()})

    def delete_restore_testing_selection(self) -> EmptyResult:
        del self._plan().selections[self._selection().name]
        return EmptyResult()

    def get_restore_testing_inferred_metadata(self) -> ActionResult:
        point = self._point()
        kind = self.sandbox.kinds[point.resource_type]
        return ActionResult({"InferredMetadata": kind.test_metadata(point.content)})

    def _plan(self) -> TestingPlan:
        return restore_testing.find_plan(self.sandbox, self._given()["RestoreTestingPlanName"])

    def _selection(self) -> TestingSelection:
        given = self._given()
        names = given["RestoreTestingPlanName"], given["RestoreTestingSelectionName"]
        return restore_testing.find_selection(self.sandbox, *names)

    def _selected(self, selection: TestingSelection) -> dict[str, Any]:
        return {
            "CreationTime": selection.created,
            "RestoreTestingPlanArn": restore_testing.find_plan(self.sandbox, selection.plan).arn,
            "RestoreTestingPlanName": selection.plan,
            "RestoreTestingSelectionName": selection.name,
        }


def _plan(plan: TestingPlan) -> dict[str, Any]:
    return {"CreationTime": plan.created, "RestoreTestingPlanArn": plan.arn, "RestoreTestingPlanName": plan.name}
