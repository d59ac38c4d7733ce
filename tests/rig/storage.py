"""S3 for the executor: through boto3 and the inner server, without faults and call log."""

from dataclasses import dataclass
from typing import IO, Any

from botocore.exceptions import ClientError

from .settings import REGION


@dataclass(frozen=True)
class Location:
    """A bucket and a key or prefix in it."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> "Location":
        bucket, _, key = uri.partition("://")[2].partition("/")
        return cls(bucket, key)

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def __truediv__(self, name: str) -> "Location":
        return Location(self.bucket, f"{self.key.rstrip('/')}/{name}".lstrip("/"))


class Storage:
    """The few operations that a training job needs."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def region(self, bucket: str) -> str | None:
        """Where the bucket is; None if there is no such bucket."""
        try:
            return self._client.get_bucket_location(Bucket=bucket)["LocationConstraint"] or REGION
        except ClientError:
            return None

    def keys(self, location: Location) -> list[str]:
        """All keys that begin with the location's, except folder markers."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=location.bucket, Prefix=location.key)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        return [key for key in keys if not key.endswith("/")]

    def read(self, location: Location) -> bytes:
        return self._client.get_object(Bucket=location.bucket, Key=location.key)["Body"].read()

    def download(self, location: Location, file: IO[bytes]) -> None:
        self._client.download_fileobj(location.bucket, location.key, file)

    def upload(self, location: Location, file: IO[bytes]) -> None:
        self._client.upload_fileobj(file, location.bucket, location.key)
