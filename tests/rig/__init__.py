"""A rig of real parts that stands in for AWS while alekseylearn is tested.

One process holds an AWS endpoint (moto, with an executor that really runs training jobs)
and an image registry behind ECR's rules. Everything listens on 127.0.0.1 only.
`python -m rig --state DIR --registry-program PATH` starts it; `assembly` shows its parts.
"""
