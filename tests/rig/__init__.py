"""A rig that stands in for AWS while alekseylearn is tested.

One process contains an AWS endpoint (moto, with an executor that really runs training jobs)
and an image registry behind ECR's rules. Everything listens only on 127.0.0.1.
`python -m rig --state DIR --registry-program PATH` starts it; `assembly` shows its parts.
"""
