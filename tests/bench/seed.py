"""Puts models into the S3 of a bench: `seed.py ENDPOINT BUCKET BIG_KEY MANY_KEY`: 1 GiB in one file, and 10,000 files."""

import gzip
import io
import os
import sys
import tarfile
import tempfile

import boto3

endpoint, bucket, big_key, many_key = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=endpoint)
s3.create_bucket(Bucket=bucket)


def put(key, level, files):
    with tempfile.TemporaryFile() as archive:
        with gzip.open(archive, "wb", compresslevel=level) as packed, tarfile.open(fileobj=packed, mode="w|") as members:
            for name, content in files:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                members.addfile(info, io.BytesIO(content))
        archive.seek(0)
        s3.upload_fileobj(archive, bucket, key)


# Weights hardly shrink.
put(big_key, 0, [("weights.bin", os.urandom(1 << 30))])
put(many_key, 6, ((f"part-{number % 100}/{number}.txt", os.urandom(2048).hex().encode()) for number in range(10_000)))
