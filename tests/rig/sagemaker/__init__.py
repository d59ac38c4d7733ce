"""SageMaker's training calls, and an executor that really runs what they ask for.

`api` answers the calls, `validation` and `references` refuse what the service refuses, `job`
is the record, `executor` takes a job through its life with `containers`, `inputs`, `artifacts`
and `logs`.
"""
