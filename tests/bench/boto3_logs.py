"""What a user would write: `boto3_logs.py JOB`, the log of a SageMaker training job to stdout."""

import sys

import boto3

place = {"logGroupName": "/aws/sagemaker/TrainingJobs"}
logs = boto3.client("logs")
for stream in logs.describe_log_streams(logStreamNamePrefix=sys.argv[1], **place)["logStreams"]:
    token = {}
    while True:
        page = logs.get_log_events(logStreamName=stream["logStreamName"], startFromHead=True, **token, **place)
        for event in page["events"]:
            print(event["message"])
        if page["nextForwardToken"] == token.get("nextToken"):
            break
        token = {"nextToken": page["nextForwardToken"]}
