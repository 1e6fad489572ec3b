"""Pipelines on a served sandbox: a bucket of sources, a CodeBuild project, services of small programs."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.sandbox.control_plane.fargate import CLUSTER, until
from tests.sandbox.control_plane.served import ACCOUNT

if TYPE_CHECKING:
    from tests.sandbox.control_plane.fargate import Fargate
    from tests.sandbox.control_plane.served import Served

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "codepipeline.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
BUILDSPEC = """\
version: 0.2
phases:
  pre_build:
    commands:
      - TAG=$(echo $CODEBUILD_RESOLVED_SOURCE_VERSION | cut -c 1-8)
      - sh check.sh
  build:
    commands:
      - docker build -t registry/shop:$TAG .
      - docker push registry/shop:$TAG
      - printf '[{"name":"main","imageUri":"registry/shop:%s"}]' $TAG > imagedefinitions.json
artifacts:
  files: [imagedefinitions.json]
"""
SOURCE = {
    "name": "Source",
    "actionTypeId": {"category": "Source", "owner": "AWS", "provider": "S3", "version": "1"},
    "outputArtifacts": [{"name": "App"}],
}
APPROVAL = {
    "name": "Ask",
    "actionTypeId": {"category": "Approval", "owner": "AWS", "provider": "Manual", "version": "1"},
}
BUILD = {
    "name": "Build",
    "actionTypeId": {"category": "Build", "owner": "AWS", "provider": "CodeBuild", "version": "1"},
    "configuration": {"ProjectName": "shop-build"},
    "inputArtifacts": [{"name": "App"}],
    "outputArtifacts": [{"name": "Built"}],
}


def deploy(service: str, **more: str) -> dict[str, Any]:
    """The deploy action to a service."""
    return {
        "name": "Deploy",
        "actionTypeId": {"category": "Deploy", "owner": "AWS", "provider": "ECS", "version": "1"},
        "configuration": {"ClusterName": CLUSTER, "ServiceName": service, **more},
        "inputArtifacts": [{"name": "Built"}],
    }


@dataclass
class Rig:
    """Makes pipelines and looks at them."""

    served: Served
    fargate: Fargate

    def __post_init__(self) -> None:
        self.pipelines = self.served.client("codepipeline")
        self.s3 = self.served.client("s3")
        where = {"LocationConstraint": self.served.world.region}
        # moto keeps the owners of buckets beyond a world's end: each has names of its own.
        self.bucket, self.store = (f"{self.served.world.region}-{word}" for word in ("sources", "artifacts"))
        for bucket in (self.bucket, self.store):
            self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
        self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        made = self.served.client("iam").create_role(
            RoleName=f"pipeline-{self.served.world.region}", AssumeRolePolicyDocument=json.dumps(TRUST), Path="/"
        )
        self.role = made["Role"]["Arn"]
        self.served.client("codebuild").create_project(
            name="shop-build",
            source={"type": "CODEPIPELINE"},
            artifacts={"type": "CODEPIPELINE"},
            environment={
                "type": "LINUX_CONTAINER",
                "image": "aws/codebuild/standard:7.0",
                "computeType": "BUILD_GENERAL1_SMALL",
            },
            serviceRole=f"arn:aws:iam::{ACCOUNT}:role/build",
        )

    def push(self, key: str, program: str, *, check: str = "true") -> str:
        """A new version of a source; its version id."""
        body = io.BytesIO()
        with zipfile.ZipFile(body, "w") as archive:
            for name, text in {"main.sh": program, "check.sh": f"{check}\n", "buildspec.yml": BUILDSPEC}.items():
                archive.writestr(name, text)
        return str(self.s3.put_object(Bucket=self.bucket, Key=key, Body=body.getvalue())["VersionId"])

    def create(self, name: str, *stages: list[dict[str, Any]], polls: bool = False, **more: Any) -> str:
        """A pipeline whose source is `<name>.zip` and whose further stages hold these actions, each named after its
        first one; the id of its first execution."""
        configuration = {
            "S3Bucket": self.bucket,
            "S3ObjectKey": f"{name}.zip",
            "PollForSourceChanges": str(polls).lower(),
            "AllowOverrideForS3ObjectKey": "true",
        }
        source = {**SOURCE, "configuration": configuration}
        rows = [{"name": actions[0]["name"], "actions": actions} for actions in ([source], *stages)]
        self.pipelines.create_pipeline(
            pipeline={
                "name": name,
                "roleArn": self.role,
                "artifactStore": {"type": "S3", "location": self.store},
                "stages": rows,
                **more,
            }
        )
        return str(self.executions(name)[0]["pipelineExecutionId"])

    def start(self, name: str, **overrides: str) -> str:
        """Start an execution; `VERSION_ID` and `KEY` name another revision."""
        revisions = [
            {"actionName": "Source", "revisionType": f"S3_OBJECT_{kind}", "revisionValue": value}
            for kind, value in overrides.items()
        ]
        answer = self.pipelines.start_pipeline_execution(name=name, sourceRevisions=revisions)
        return str(answer["pipelineExecutionId"])

    def executions(self, name: str) -> list[dict[str, Any]]:
        """The newest first."""
        found: list[dict[str, Any]] = self.pipelines.list_pipeline_executions(pipelineName=name)[
            "pipelineExecutionSummaries"
        ]
        return found

    def execution(self, name: str, identifier: str) -> dict[str, Any]:
        """One execution."""
        found: dict[str, Any] = self.pipelines.get_pipeline_execution(
            pipelineName=name, pipelineExecutionId=identifier
        )["pipelineExecution"]
        return found

    def status(self, name: str, identifier: str, *wanted: str) -> str:
        """Its status, once it is one of those that are wanted, or an end."""
        ends = {"Succeeded", "Failed", "Stopped", "Superseded", "Cancelled", *wanted}
        return str(until(lambda: (now := self.execution(name, identifier)["status"]) in ends and now))

    def stage(self, name: str, stage: str) -> dict[str, Any]:
        """A stage's state."""
        states = self.pipelines.get_pipeline_state(name=name)["stageStates"]
        found: dict[str, Any] = next(row for row in states if row["stageName"] == stage)
        return found

    def latest(self, name: str, stage: str) -> dict[str, Any]:
        """How the first action of a stage ran last; empty where it never did."""
        found: dict[str, Any] = self.stage(name, stage)["actionStates"][0].get("latestExecution", {})
        return found

    def waits(self, name: str, stage: str, identifier: str) -> None:
        """Wait until an execution waits in front of a stage."""
        until(lambda: self.stage(name, stage).get("inboundExecution", {}).get("pipelineExecutionId") == identifier)

    def actions(self, name: str, identifier: str) -> list[dict[str, Any]]:
        """What an execution did, the oldest first."""
        found: list[dict[str, Any]] = self.pipelines.list_action_executions(
            pipelineName=name, filter={"pipelineExecutionId": identifier}
        )["actionExecutionDetails"]
        return found[::-1]

    def image(self, service: str) -> str:
        """The image in a service's task definition."""
        definition = self.fargate.service(service)["taskDefinition"]
        found = self.fargate.ecs.describe_task_definition(taskDefinition=definition)["taskDefinition"]
        return str(found["containerDefinitions"][0]["image"])

    def switch(self, name: str, stage: str, *, enabled: bool) -> None:
        """Enable or disable the way into a stage."""
        where = {"pipelineName": name, "stageName": stage, "transitionType": "Inbound"}
        if enabled:
            self.pipelines.enable_stage_transition(**where)
        else:
            self.pipelines.disable_stage_transition(**where, reason="a drill")

    def approve(self, name: str, *, approved: bool = True) -> None:
        """Answer the approval that is asked for, once it is."""
        token = until(lambda: self.latest(name, "Ask").get("token"))
        status = "Approved" if approved else "Rejected"
        self.pipelines.put_approval_result(
            pipelineName=name,
            stageName="Ask",
            actionName="Ask",
            token=token,
            result={"summary": "looked at it", "status": status},
        )
