"""CodeBuild: the commands of a buildspec run, and what they do decides."""

from __future__ import annotations

import io
import subprocess
import zipfile
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from pytest_envdr.sandbox.control_plane import codebuild, logs, s3
from tests.sandbox.control_plane.fargate import until
from tests.sandbox.control_plane.served import ACCOUNT, Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET = "build-sources"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/build"
ENDED = ["SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE", "INSTALL", "PRE_BUILD"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """CodeBuild at speed 200, with a versioned bucket."""
    modules = {"logs": logs, "s3": s3, "codebuild": codebuild}
    directory = tmp_path_factory.mktemp("codebuild")
    with serving(directory, modules, region="eu-south-1", network="127.248.0.0/16", speed=200) as served:
        client = served.client("s3")
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-south-1"})
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield served


def packed(**files: str) -> bytes:
    """A zip of files; `buildspec` is buildspec.yml."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for name, text in files.items():
            archive.writestr("buildspec.yml" if name == "buildspec" else name, text)
    return body.getvalue()


def spec(artifacts: str = "", /, **phases: list[str]) -> str:
    """A buildspec."""
    lines = ["version: 0.2", "env:", "  variables:", "    COLOUR: red", "    SHAPE: round", "phases:"]
    for name, commands in phases.items():
        lines += [f"  {name}:", "    commands:", *(f"      - |-\n        {command}" for command in commands)]
    return "\n".join([*lines, artifacts])


def project(served: Served, name: str, buildspec: str, **more: Any) -> None:
    """A project whose source is `<name>.zip`."""
    body = packed(buildspec=buildspec, **{"greeting.txt": "hello\n", "lib/deep.txt": "deep\n"})
    served.client("s3").put_object(Bucket=BUCKET, Key=f"{name}.zip", Body=body)
    wanted: dict[str, Any] = {
        "source": {"type": "S3", "location": f"{BUCKET}/{name}.zip"},
        "artifacts": {"type": "NO_ARTIFACTS"},
        "environment": {
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": [{"name": "SHAPE", "value": "square"}],
        },
        "serviceRole": ROLE,
    }
    served.client("codebuild").create_project(name=name, **{**wanted, **more})


def build(served: Served, name: str, **more: Any) -> dict[str, Any]:
    """A build of a project, once it has ended."""
    client = served.client("codebuild")
    started = client.start_build(projectName=name, **more)["build"]
    assert (started["buildStatus"], started["buildComplete"]) == ("IN_PROGRESS", False)
    return ended(served, started["id"])


def ended(served: Served, identifier: str) -> dict[str, Any]:
    """A build, once it has ended."""
    client = served.client("codebuild")

    def complete() -> Any:
        found = client.batch_get_builds(ids=[identifier])["builds"][0]
        return found if found["buildComplete"] else None

    found: dict[str, Any] = until(complete)
    return found


def log(served: Served, found: dict[str, Any]) -> list[str]:
    """What a build printed, without CodeBuild's own lines."""
    where = {"logGroupName": found["logs"]["groupName"], "logStreamName": found["logs"]["streamName"]}
    events = served.client("logs").get_log_events(**where, startFromHead=True)["events"]
    return [event["message"] for event in events if not event["message"].startswith("[Container]")]


def phases(found: dict[str, Any]) -> dict[str, str]:
    """Each phase's status."""
    return {phase["phaseType"]: phase.get("phaseStatus", "") for phase in found["phases"]}


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    """The error code that AWS would have answered."""
    return str(error.value.response["Error"]["Code"])


def test_a_build_runs_its_commands(served: Served) -> None:
    """In the source's directory, phase after phase in one shell's state, with the variables of buildspec, project and
    StartBuild in this order of weight; the log has what they printed."""
    commands = {
        "install": ["TAG=v$(wc -c < greeting.txt)", "cd lib"],
        "build": ['echo "$TAG $COLOUR $SHAPE $SIZE"', "cat deep.txt", "echo $CODEBUILD_BUILD_ID"],
        "post_build": ["echo succeeding $CODEBUILD_BUILD_SUCCEEDING"],
    }
    project(served, "commands", spec(**commands))
    found = build(served, "commands", environmentVariablesOverride=[{"name": "SIZE", "value": "big one"}])
    assert found["buildStatus"] == "SUCCEEDED"
    assert log(served, found) == ["v6 red square big one", "deep", found["id"], "succeeding 1"]
    assert list(phases(found)) == [*ENDED, "BUILD", "POST_BUILD", "UPLOAD_ARTIFACTS", "FINALIZING", "COMPLETED"]
    assert set(phases(found).values()) == {"SUCCEEDED", ""}
    assert found["endTime"] >= found["startTime"]
    assert (found["logs"]["groupName"], found["buildNumber"]) == ("/aws/codebuild/commands", 1)


def test_an_exit_code_fails_the_build(served: Served) -> None:
    """The failing command is named, later ones do not run, post_build does and knows; the next build has number 2."""
    commands = {
        "build": ["echo one", "sh -c 'exit 7'", "echo never"],
        "post_build": ["echo $CODEBUILD_BUILD_SUCCEEDING"],
    }
    project(served, "failing", spec(**commands))
    found = build(served, "failing")
    assert (found["buildStatus"], log(served, found)) == ("FAILED", ["one", "0"])
    assert phases(found)["BUILD"] == "FAILED"
    context = next(phase for phase in found["phases"] if phase["phaseType"] == "BUILD")["contexts"][0]
    assert context["statusCode"] == "COMMAND_EXECUTION_ERROR"
    assert context["message"] == "Error while executing command: sh -c 'exit 7'. Reason: exit status 7"
    assert build(served, "failing", buildspecOverride=spec(build=["true"]))["buildNumber"] == 2


def test_nothing_is_built_after_a_failed_preparation(served: Served) -> None:
    """Where pre_build fails, neither build nor post_build runs."""
    project(served, "unprepared", spec(pre_build=["false"], build=["echo built"], post_build=["echo after"]))
    found = build(served, "unprepared")
    assert (found["buildStatus"], log(served, found)) == ("FAILED", [])
    assert list(phases(found)) == [*ENDED, "FINALIZING", "COMPLETED"]


def test_what_cannot_be_built_says_why(served: Served) -> None:
    """A source that is not there, a version that is not, a zip without a buildspec, a buildspec that is none."""
    project(served, "unsound", spec(build=["true"]))
    client = served.client("s3")
    client.put_object(Bucket=BUCKET, Key="bare.zip", Body=packed(readme="x"))
    client.put_object(Bucket=BUCKET, Key="broken.zip", Body=b"no zip")
    cases = {
        "missing.zip": "NoSuchKey",
        "bare.zip": "buildspec.yml: no such file",
        "broken.zip": "not a zip file",
    }
    for key, words in cases.items():
        found = build(served, "unsound", sourceLocationOverride=f"{BUCKET}/{key}")
        phase = next(one for one in found["phases"] if one["phaseType"] == "DOWNLOAD_SOURCE")
        assert (found["buildStatus"], phase["phaseStatus"]) == ("FAILED", "FAILED")
        assert words in phase["contexts"][0]["message"]
    found = build(served, "unsound", buildspecOverride="version: 0.2\nphases: [\n")
    assert "YAML_FILE_ERROR" in str(found["phases"])


def test_a_build_is_stopped(served: Served) -> None:
    """StopBuild ends the processes; the build is STOPPED in the phase that it was in."""
    project(served, "endless", spec(build=["echo begun", "sleep 3127"]))
    client = served.client("codebuild")
    identifier = client.start_build(projectName="endless")["build"]["id"]
    pattern = ["pgrep", "-f", "^sleep 3127"]
    until(lambda: subprocess.run(pattern, capture_output=True, check=False).stdout)
    assert client.batch_get_builds(ids=[identifier])["builds"][0]["currentPhase"] == "BUILD"
    client.stop_build(id=identifier)
    found = ended(served, identifier)
    assert (found["buildStatus"], phases(found)["BUILD"]) == ("STOPPED", "STOPPED")
    assert not subprocess.run(pattern, capture_output=True, check=False).stdout


def test_a_build_makes_an_image(served: Served) -> None:
    """`docker build` lays the source over the image that it is FROM, `docker push` publishes it; what was not built
    cannot be pushed, and an image that is not there cannot be built upon."""
    world = served.world
    base = world.directory / "base"
    base.mkdir()
    (base / "kept.txt").write_text("kept")
    (base / "greeting.txt").write_text("replaced")
    world.images.publish("registry/base:1", base)
    commands = [
        "echo FROM registry/base:1 > Dockerfile",
        "docker build -t registry/shop:2 .",
        "docker push registry/shop:2",
    ]
    project(served, "image", spec(build=commands))
    assert build(served, "image")["buildStatus"] == "SUCCEEDED"
    image = world.images.pull("registry/shop:2").directory
    assert sorted(path.name for path in image.iterdir()) == ["greeting.txt", "kept.txt", "lib"]
    assert (image / "greeting.txt").read_text() == "hello\n"
    for refused in ("docker push registry/shop:3", "echo FROM nowhere:1 > Dockerfile; docker build -t x:1 ."):
        found = build(served, "image", buildspecOverride=spec(build=[refused]))
        assert found["buildStatus"] == "FAILED", log(served, found)
    with pytest.raises(LookupError):
        world.images.pull("registry/shop:3")


def test_artifacts_are_handed_on(served: Served) -> None:
    """The files that the buildspec names, from their base, zipped under the project's name; none at all is an error."""
    target = {"type": "S3", "location": BUCKET, "path": "out", "name": "made.zip", "packaging": "ZIP"}
    files = "artifacts:\n  base-directory: lib\n  files:\n    - '**/*'"
    project(served, "artifacts", spec(files, build=["echo more > lib/more.txt"]), artifacts=target)
    found = build(served, "artifacts")
    assert found["artifacts"]["location"] == f"arn:aws:s3:::{BUCKET}/out/made.zip"
    body = served.client("s3").get_object(Bucket=BUCKET, Key="out/made.zip")["Body"].read()
    assert sorted(zipfile.ZipFile(io.BytesIO(body)).namelist()) == ["deep.txt", "more.txt"]
    assert phases(build(served, "artifacts", buildspecOverride=spec(build=["true"])))["UPLOAD_ARTIFACTS"] == "FAILED"


def test_bad_requests_are_refused(served: Served) -> None:
    """Unknown names, a name that is taken, a foreign role; and what is not built answers 501."""
    project(served, "taken", spec(build=["true"]))
    client = served.client("codebuild")
    with pytest.raises(ClientError) as refused:
        project(served, "taken", "")
    assert code_of(refused) == "ResourceAlreadyExistsException"
    for call, asked in (
        (client.start_build, {"projectName": "nobody"}),
        (client.stop_build, {"id": "nobody:1"}),
        (client.list_builds_for_project, {"projectName": "nobody"}),
    ):
        with pytest.raises(ClientError) as refused:
            call(**asked)
        assert code_of(refused) == "ResourceNotFoundException"
    with pytest.raises(ClientError) as refused:
        project(served, "foreign", "", serviceRole="arn:aws:iam::999999999999:role/x")
    assert code_of(refused) == "InvalidInputException"
    elsewhere = {"source": {"type": "GITHUB", "location": "https://example.test"}}
    unbuilt: list[tuple[Any, dict[str, Any]]] = [
        (partial(project, served, "github", ""), elsewhere),
        (client.start_build, {"projectName": "taken", "privilegedModeOverride": True}),
        (client.list_report_groups, {}),
    ]
    for missing, wanted in unbuilt:
        with pytest.raises(ClientError) as refused:
            missing(**wanted)
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert client.batch_get_builds(ids=["nobody:1"])["buildsNotFound"] == ["nobody:1"]
    assert client.batch_get_projects(names=["taken", "x"])["projectsNotFound"] == ["x"]


def test_builds_are_listed_newest_first(served: Served) -> None:
    """As CodeBuild does, and the other way round where that is asked for."""
    project(served, "listed", spec(build=["true"]))
    made = [build(served, "listed")["id"] for _ in range(2)]
    client = served.client("codebuild")
    assert client.list_builds_for_project(projectName="listed")["ids"] == made[::-1]
    assert client.list_builds_for_project(projectName="listed", sortOrder="ASCENDING")["ids"] == made
    assert "listed" in client.list_projects()["projects"]
    client.delete_project(name="listed")
    assert client.batch_get_projects(names=["listed"])["projects"] == []
