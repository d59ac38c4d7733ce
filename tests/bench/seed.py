"""Puts models into the S3 of a bench: `seed.py BUCKET BIG_KEY MANY_KEY PREFIX`.

1 GiB in one file, as an archive; 10,000 files, as an archive and as objects below PREFIX.
"""

import gzip
import io
import os
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor

import boto3

bucket, big_key, many_key, prefix = sys.argv[1:]
s3 = boto3.client("s3")
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


def put_object(file):
    s3.put_object(Bucket=bucket, Key=prefix + file[0], Body=file[1])


# Weights hardly shrink.
put(big_key, 0, [("weights.bin", os.urandom(1 << 30))])
many = [(f"part-{number % 100}/{number}.txt", os.urandom(2048).hex().encode()) for number in range(10_000)]
put(many_key, 6, many)
with ThreadPoolExecutor(8) as threads:
    # The first failure is raised here.
    list(threads.map(put_object, many))
