"""AWS Backup by itself: schedules, what a history shows, restore tests, notifications."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.sandbox.control_plane import backup
from pytest_envdr.sandbox.control_plane.backup import history
from pytest_envdr.waiting import wait_until
from tests.sandbox.control_plane.backup_rig import ROLE_ARN, TRUST, VAULT, ended, prepare, refused, restore_ended
from tests.sandbox.control_plane.served import ACCOUNT, Served, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REGION = "ap-southeast-2"
VAULT_ARN = f"arn:aws:backup:{REGION}:{ACCOUNT}:backup-vault:{VAULT}"

_numbers = count(1)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("backup-plans")
    with serving(directory, {"backup": backup}, region=REGION, network="127.229.0.0/16", speed=600) as served:
        prepare(served)
        yield served


def eventually(read: Callable[[], Any], what: str) -> Any:
    """What `read` gives, once it gives something."""
    return wait_until(read, what=what, deadline=60, interval=0.05, longest_interval=0.1)


def bucket(served: Served, **tags: str) -> str:
    """A versioned bucket of the test's own with one object."""
    name, s3 = f"planned-{next(_numbers)}", served.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=name, Key="a", Body=b"bytes")
    if tags:
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": k, "Value": v} for k, v in tags.items()]})
    return name


def arn_of(name: str) -> str:
    return f"arn:aws:s3:::{name}"


def in_minutes(minutes: int) -> str:
    """A daily schedule that comes due so many minutes from now, on a plan's own clock."""
    moment = datetime.now(UTC) + timedelta(minutes=minutes)
    return f"cron({moment.minute} {moment.hour} ? * * *)"


def plan(served: Served, *, schedule: str | None = None, role: str = ROLE_ARN, **more: Any) -> str:
    """A plan with one rule and one selection; `more` is the selection's."""
    client, name = served.client("backup"), f"plan-{next(_numbers)}"
    rule = {"RuleName": "rule", "TargetBackupVaultName": VAULT, "ScheduleExpression": schedule or in_minutes(30)}
    rule |= more.pop("rule", {})
    made = client.create_backup_plan(BackupPlan={"BackupPlanName": name, "Rules": [rule]})["BackupPlanId"]
    selection = {"SelectionName": "all", "IamRoleArn": role, **more}
    client.create_backup_selection(BackupPlanId=made, BackupSelection=selection)
    return str(made)


def end_plan(served: Served, identifier: str) -> None:
    """Its selections and the plan are gone."""
    client = served.client("backup")
    for row in client.list_backup_selections(BackupPlanId=identifier)["BackupSelectionsList"]:
        client.delete_backup_selection(BackupPlanId=identifier, SelectionId=row["SelectionId"])
    client.delete_backup_plan(BackupPlanId=identifier)


def jobs_of(served: Served, name: str) -> list[dict[str, Any]]:
    return list(served.client("backup").list_backup_jobs(ByResourceArn=arn_of(name))["BackupJobs"])


def point(served: Served, name: str, **more: Any) -> str:
    job = served.client("backup").start_backup_job(
        BackupVaultName=VAULT, ResourceArn=arn_of(name), IamRoleArn=ROLE_ARN, **more
    )
    return str(ended(served, job["BackupJobId"])["RecoveryPointArn"])


def test_a_schedule_makes_jobs(served: Served) -> None:
    """When the rule comes due, what the plan selects is backed up, and the job names plan and rule."""
    name = bucket(served)
    made = plan(served, Resources=[arn_of(name)], rule={"Lifecycle": {"DeleteAfterDays": 90}})
    [job] = eventually(lambda: jobs_of(served, name), "a scheduled job")
    row = ended(served, job["BackupJobId"])
    assert (row["State"], row["CreatedBy"]["BackupPlanId"]) == ("COMPLETED", made)
    assert row["CreatedBy"]["BackupRuleName"] == "rule"
    client = served.client("backup")
    [listed] = client.list_recovery_points_by_backup_vault(BackupVaultName=VAULT, ByBackupPlanId=made)["RecoveryPoints"]
    assert listed["RecoveryPointArn"] == row["RecoveryPointArn"]
    assert "LastExecutionDate" in client.get_backup_plan(BackupPlanId=made)
    end_plan(served, made)


def test_tags_select(served: Served) -> None:
    """Of buckets that fit a pattern, those with the tag are backed up, and none that is excluded."""
    chosen, other, excluded = bucket(served, tier="gold"), bucket(served, tier="tin"), bucket(served, tier="gold")
    made = plan(
        served,
        schedule="cron(0 5 1 1 ? 2199)",
        Resources=["arn:aws:s3:::planned-*"],
        NotResources=[arn_of(excluded)],
        Conditions={"StringEquals": [{"ConditionKey": "aws:ResourceTag/tier", "ConditionValue": "gold"}]},
    )
    assert {job.resource for job in history.run_plan(served.world, made)} == {arn_of(chosen)}
    assert jobs_of(served, other) == []
    end_plan(served, made)


def test_what_is_gone_when_the_schedule_comes_fails(served: Served) -> None:
    """A bucket that was deleted and a role that was deleted: FAILED, each with its message, and no recovery point."""
    gone, kept, iam = bucket(served), bucket(served), served.client("iam")
    role = iam.create_role(RoleName="short-lived", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    first = plan(served, Resources=[arn_of(gone)])
    second = plan(served, role=role, Resources=[arn_of(kept)])
    s3 = served.client("s3")
    for version in s3.list_object_versions(Bucket=gone)["Versions"]:
        s3.delete_object(Bucket=gone, Key=version["Key"], VersionId=version["VersionId"])
    s3.delete_bucket(Bucket=gone)
    iam.delete_role(RoleName="short-lived")
    rows = {}
    for name in (gone, kept):
        [job] = eventually(partial(jobs_of, served, name), "a scheduled job")
        rows[name] = ended(served, job["BackupJobId"])
    assert {row["State"] for row in rows.values()} == {"FAILED"}
    assert "does not exist" in rows[gone]["StatusMessage"]
    assert rows[kept]["MessageCategory"] == "AccessDenied"
    assert not any("RecoveryPointArn" in row for row in rows.values())
    end_plan(served, first)
    end_plan(served, second)


def test_a_recorded_history_is_what_an_account_would_show(served: Served) -> None:
    """30 days of jobs at the plan's time; failed, with issues, expired and missing ones as told; their points gone."""
    name, client, now = bucket(served), served.client("backup"), datetime.now(UTC)
    outcomes = {
        3: history.Outcome("FAILED", "AccessDenied", "Access denied"),
        4: history.Outcome("COMPLETED", "FAILURE", "Completed with issues"),
        5: history.Outcome("EXPIRED", "FAILURE", "expired"),
        6: None,
    }

    def outcome(_: str, moment: datetime) -> history.Outcome | None:
        return outcomes.get((now - moment).days, history.SUCCESSFUL)

    made = plan(served, schedule=in_minutes(-60), Resources=[arn_of(name)])
    history.record_daily(served.world, made, days=40, outcome=outcome)
    rows = [
        row
        for page in client.get_paginator("list_backup_jobs").paginate(
            ByResourceArn=arn_of(name), PaginationConfig={"PageSize": 10}
        )
        for row in page["BackupJobs"]
    ]
    assert len(rows) == 29
    assert rows == sorted(rows, key=lambda row: row["CreationDate"], reverse=True)
    assert all(row["CompletionDate"] > row["CreationDate"] > now - timedelta(days=30) for row in rows)
    week = client.list_backup_jobs(ByResourceArn=arn_of(name), ByCreatedAfter=now - timedelta(days=7))["BackupJobs"]
    states = sorted((row["State"], row["MessageCategory"]) for row in week if row["MessageCategory"] != "SUCCESS")
    assert states == [("COMPLETED", "FAILURE"), ("EXPIRED", "FAILURE"), ("FAILED", "AccessDenied")]
    assert len(week) == 6
    with refused("ResourceNotFoundException"):
        client.describe_recovery_point(BackupVaultName=VAULT, RecoveryPointArn=rows[0]["RecoveryPointArn"])
    end_plan(served, made)


def test_a_lifecycle_ends_a_recovery_point(served: Served) -> None:
    """After DeleteAfterDays the point is gone, and its job still COMPLETED."""
    name, client = bucket(served), served.client("backup")
    client.start_backup_job(
        BackupVaultName=VAULT, ResourceArn=arn_of(name), IamRoleArn=ROLE_ARN, Lifecycle={"DeleteAfterDays": 1}
    )
    backend = history.backend_of(served.world)
    [job] = jobs_of(served, name)
    arn = ended(served, job["BackupJobId"])["RecoveryPointArn"]
    described = client.describe_recovery_point(BackupVaultName=VAULT, RecoveryPointArn=arn)
    assert described["CalculatedLifecycle"]["DeleteAt"] == described["CreationDate"] + timedelta(seconds=144)
    backend.state.points[arn].day = 0.001
    eventually(lambda: arn not in backend.state.points, "the point's end")
    assert client.describe_backup_job(BackupJobId=job["BackupJobId"])["State"] == "COMPLETED"


def test_a_vault_tells_its_topic(served: Served) -> None:
    """Completed jobs reach a queue that subscribes to the vault's topic, and so does an object that failed."""
    name, client, sqs, sns = bucket(served), served.client("backup"), served.client("sqs"), served.client("sns")
    topic = sns.create_topic(Name="backups")["TopicArn"]
    url = sqs.create_queue(QueueName="backups")["QueueUrl"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:backups")
    events = ["BACKUP_JOB_COMPLETED", "RESTORE_JOB_COMPLETED", "S3_RESTORE_OBJECT_FAILED"]
    client.put_backup_vault_notifications(BackupVaultName=VAULT, SNSTopicArn=topic, BackupVaultEvents=events)
    assert client.get_backup_vault_notifications(BackupVaultName=VAULT)["BackupVaultEvents"] == events
    arn = point(served, name)
    metadata = {"DestinationBucketName": name, "ItemsToRestore": json.dumps(["missing"])}
    job = client.start_restore_job(RecoveryPointArn=arn, IamRoleArn=ROLE_ARN, Metadata=metadata)["RestoreJobId"]
    assert restore_ended(served, job)["Status"] == "COMPLETED"
    seen: list[tuple[str, str]] = []

    def told() -> bool:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            body = json.loads(message["Body"])
            assert body["Subject"] == "Notification from AWS Backup"
            seen.append((body["MessageAttributes"]["EventType"]["Value"], body["Message"]))
        return len(seen) >= 3

    eventually(told, "three messages")
    assert sorted(kind for kind, _ in seen) == ["BACKUP_JOB", "RESTORE_JOB", "S3_RESTORE_OBJECT_FAILED"]
    assert any(arn in text for kind, text in seen if kind == "BACKUP_JOB")
    client.delete_backup_vault_notifications(BackupVaultName=VAULT)


def restore_tests(served: Served, name: str, *, hours: int, minutes: int) -> tuple[str, str]:
    """A restore testing plan of one bucket that comes due soon; its name and ARN."""
    client, title = served.client("backup"), f"test_{next(_numbers)}"
    answer = client.create_restore_testing_plan(
        RestoreTestingPlan={
            "RestoreTestingPlanName": title,
            "ScheduleExpression": in_minutes(minutes),
            "RecoveryPointSelection": {
                "Algorithm": "LATEST_WITHIN_WINDOW",
                "IncludeVaults": [VAULT_ARN],
                "RecoveryPointTypes": ["SNAPSHOT"],
            },
        }
    )
    client.create_restore_testing_selection(
        RestoreTestingPlanName=title,
        RestoreTestingSelection={
            "RestoreTestingSelectionName": "bucket",
            "IamRoleArn": ROLE_ARN,
            "ProtectedResourceType": "S3",
            "ProtectedResourceArns": [arn_of(name)],
            "ValidationWindowHours": hours,
        },
    )
    return title, str(answer["RestoreTestingPlanArn"])


def end_testing(served: Served, title: str) -> None:
    client = served.client("backup")
    with refused("InvalidRequestException"):
        client.delete_restore_testing_plan(RestoreTestingPlanName=title)
    client.delete_restore_testing_selection(RestoreTestingPlanName=title, RestoreTestingSelectionName="bucket")
    client.delete_restore_testing_plan(RestoreTestingPlanName=title)
    with refused("ResourceNotFoundException"):
        client.get_restore_testing_plan(RestoreTestingPlanName=title)


def test_restore_testing_waits_for_the_verdict_and_cleans_up(served: Served) -> None:
    """The newest point is restored under a generated name, kept until a result comes, and then deleted."""
    name, client, s3 = bucket(served), served.client("backup"), served.client("s3")
    point(served, name)
    s3.put_object(Bucket=name, Key="a", Body=b"newer")
    newest = point(served, name)
    title, arn = restore_tests(served, name, hours=168, minutes=30)

    def rows() -> list[dict[str, Any]]:
        return list(client.list_restore_jobs(ByRestoreTestingPlanArn=arn)["RestoreJobs"])

    [job] = eventually(rows, "the restore test")
    assert restore_ended(served, job["RestoreJobId"])["Status"] == "COMPLETED"
    shown = eventually(
        lambda: [row for row in rows() if row.get("ValidationStatus") == "VALIDATING"], "the validation"
    )[0]
    made = shown["CreatedResourceArn"].rsplit(":", 1)[-1]
    assert made.startswith("awsbackup-restore-test-")
    assert shown["RecoveryPointArn"] == newest
    assert s3.get_object(Bucket=made, Key="a")["Body"].read() == b"newer"
    client.put_restore_validation_result(RestoreJobId=job["RestoreJobId"], ValidationStatus="SUCCESSFUL")
    [last] = eventually(lambda: [row for row in rows() if row.get("DeletionStatus") == "SUCCESSFUL"], "the deletion")
    assert last["ValidationStatus"] == "SUCCESSFUL"
    assert made not in {row["Name"] for row in s3.list_buckets()["Buckets"]}
    with refused("InvalidRequestException"):
        client.put_restore_validation_result(RestoreJobId=job["RestoreJobId"], ValidationStatus="FAILED")
    end_testing(served, title)


def test_a_restore_test_that_nobody_validates_times_out(served: Served) -> None:
    """When the validation window ends, TIMED_OUT, and the resource is deleted all the same."""
    name, client = bucket(served), served.client("backup")
    point(served, name)
    title, arn = restore_tests(served, name, hours=1, minutes=30)

    def deleted() -> list[dict[str, Any]]:
        rows = client.list_restore_jobs(ByRestoreTestingPlanArn=arn)["RestoreJobs"]
        return [row for row in rows if row.get("DeletionStatus") == "SUCCESSFUL"]

    [row] = eventually(deleted, "the deletion")
    assert row["ValidationStatus"] == "TIMED_OUT"
    end_testing(served, title)


def test_testing_plans_are_kept_as_told(served: Served) -> None:
    """Get and list give what create and update said; bad names, schedules and types are refused."""
    name, client = bucket(served), served.client("backup")
    title, arn = restore_tests(served, name, hours=2, minutes=600)
    got = client.get_restore_testing_plan(RestoreTestingPlanName=title)["RestoreTestingPlan"]
    assert (got["RestoreTestingPlanArn"], got["StartWindowHours"]) == (arn, 24)
    client.update_restore_testing_plan(RestoreTestingPlanName=title, RestoreTestingPlan={"StartWindowHours": 5})
    client.update_restore_testing_selection(
        RestoreTestingPlanName=title,
        RestoreTestingSelectionName="bucket",
        RestoreTestingSelection={"ValidationWindowHours": 9},
    )
    [listed] = [
        row
        for row in client.list_restore_testing_plans()["RestoreTestingPlans"]
        if row["RestoreTestingPlanName"] == title
    ]
    assert listed["StartWindowHours"] == 5
    [selection] = client.list_restore_testing_selections(RestoreTestingPlanName=title)["RestoreTestingSelections"]
    assert selection["ValidationWindowHours"] == 9
    whole = client.get_restore_testing_selection(RestoreTestingPlanName=title, RestoreTestingSelectionName="bucket")
    assert whole["RestoreTestingSelection"]["ProtectedResourceArns"] == [arn_of(name)]
    good = got | {"RestoreTestingPlanName": "other"}
    wanted = ("RestoreTestingPlanName", "ScheduleExpression", "RecoveryPointSelection")
    for wrong in ({"RestoreTestingPlanName": "with-dash"}, {"ScheduleExpression": "now and then"}):
        document = {key: value for key, value in (good | wrong).items() if key in wanted}
        with refused("InvalidParameterValueException"):
            client.create_restore_testing_plan(RestoreTestingPlan=document)
    inferred = client.get_restore_testing_inferred_metadata(BackupVaultName=VAULT, RecoveryPointArn=point(served, name))
    assert inferred["InferredMetadata"]["NewBucket"] == "true"
    end_testing(served, title)


def test_vaults_plans_and_tags_stay_as_they_were(served: Served) -> None:
    """moto's own calls work through boto3 and the CLI: vaults, lock, plans, versions, tags, report plans."""
    client = served.client("backup")
    vault = client.create_backup_vault(BackupVaultName="second", BackupVaultTags={"a": "b"})
    assert client.list_tags(ResourceArn=vault["BackupVaultArn"])["Tags"] == {"a": "b"}
    client.tag_resource(ResourceArn=vault["BackupVaultArn"], Tags={"c": "d"})
    client.untag_resource(ResourceArn=vault["BackupVaultArn"], TagKeyList=["a"])
    assert client.list_tags(ResourceArn=vault["BackupVaultArn"])["Tags"] == {"c": "d"}
    client.put_backup_vault_lock_configuration(BackupVaultName="second", MinRetentionDays=1)
    assert client.describe_backup_vault(BackupVaultName="second")["Locked"] is True
    client.delete_backup_vault_lock_configuration(BackupVaultName="second")
    names = {row["BackupVaultName"] for row in served.cli_json("backup", "list-backup-vaults")["BackupVaultList"]}
    assert names == {VAULT, "second"}
    client.delete_backup_vault(BackupVaultName="second")
    with refused("ResourceNotFoundException"):
        client.describe_backup_vault(BackupVaultName="second")
    made = plan(served, schedule="cron(0 5 1 1 ? 2199)", Resources=["arn:aws:s3:::nothing-of-this"])
    got = client.get_backup_plan(BackupPlanId=made)
    updated = client.update_backup_plan(
        BackupPlanId=made,
        BackupPlan={"BackupPlanName": "renamed", "Rules": [{"RuleName": "rule", "TargetBackupVaultName": VAULT}]},
    )
    assert updated["VersionId"] != got["VersionId"]
    assert (
        served.cli_json("backup", "get-backup-plan", "--backup-plan-id", made)["BackupPlan"]["BackupPlanName"]
        == "renamed"
    )
    with refused("InvalidRequestException"):
        client.delete_backup_plan(BackupPlanId=made)
    end_plan(served, made)
    assert made not in {row["BackupPlanId"] for row in client.list_backup_plans()["BackupPlansList"]}
    report = {"ReportTemplate": "BACKUP_JOB_REPORT"}
    client.create_report_plan(
        ReportPlanName="daily", ReportDeliveryChannel={"S3BucketName": "reports"}, ReportSetting=report
    )
    assert client.describe_report_plan(ReportPlanName="daily")["ReportPlan"]["ReportPlanName"] == "daily"


def test_what_is_not_here_is_a_clean_501(served: Served) -> None:
    """Continuous backups, and an operation that neither moto nor the sandbox has."""
    client = served.client("backup")
    rule = {"RuleName": "pitr", "TargetBackupVaultName": VAULT, "EnableContinuousBackup": True}
    with refused("NotImplementedInSandbox"):
        client.create_backup_plan(BackupPlan={"BackupPlanName": "continuous", "Rules": [rule]})
    with refused("NotImplementedInSandbox"):
        client.list_legal_holds()
