"""SageMaker's training calls, and an executor that really runs the jobs.

`api` serves the calls, `validation` and `references` refuse what the service refuses, `job`
is the record, and `executor` runs a job with `containers`, `inputs`, `artifacts` and `logs`.
"""
