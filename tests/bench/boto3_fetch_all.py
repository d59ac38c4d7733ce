"""What a user would write: `boto3_fetch_all.py BUCKET PREFIX FOLDER`, all objects below a prefix."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3

bucket, prefix, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
s3 = boto3.client("s3")


def fetch(key):
    file = folder / key.removeprefix(prefix)
    file.parent.mkdir(parents=True, exist_ok=True)
    s3.download_file(bucket, key, str(file))


pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
# As many as the client has connections.
with ThreadPoolExecutor(10) as threads:
    list(threads.map(fetch, (found["Key"] for page in pages for found in page["Contents"])))
