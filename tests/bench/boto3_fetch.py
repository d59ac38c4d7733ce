"""What a user would write: `boto3_fetch.py BUCKET KEY FOLDER`, with `--extract` to unpack the archive."""

import sys
import tarfile
from pathlib import Path

import boto3

bucket, key, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
folder.mkdir(parents=True)
archive = folder / "model.tar.gz"
boto3.client("s3").download_file(bucket, key, str(archive))
if "--extract" in sys.argv:
    with tarfile.open(archive) as members:
        members.extractall(folder, filter="data")
    archive.unlink()
