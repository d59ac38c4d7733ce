"""S3 accepts the Rust SDK's bodies: aws-chunked pieces followed by a checksum."""

import base64
import uuid
import zlib

import pytest
import requests

from .conftest import RigUnderTest


def upload(rig: RigUnderTest, key: str, body: bytes, checksum: str, signed: bool) -> requests.Response:
    signature = ";chunk-signature=" + "0" * 64 if signed else ""
    size = 64 * 1024
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    encoded = b"".join(b"%x%s\r\n%s\r\n" % (len(piece), signature.encode(), piece) for piece in pieces)
    encoded += f"0{signature}\r\nx-amz-checksum-crc32:{checksum}\r\n".encode()
    encoded += f"x-amz-trailer-signature:{'0' * 64}\r\n\r\n".encode() if signed else b"\r\n"
    payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" if signed else "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    headers = {
        "Content-Encoding": "aws-chunked",
        "x-amz-content-sha256": payload,
        "x-amz-decoded-content-length": str(len(body)),
        "x-amz-trailer": "x-amz-checksum-crc32",
    }
    url = f"{rig.facts['endpoint']}/{rig.facts['bucket']}/{key}"
    return requests.put(url, data=encoded, headers=headers, timeout=60)


def crc32(body: bytes) -> str:
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


@pytest.mark.parametrize("signed", [False, True])
def test_an_aws_chunked_body_is_decoded(rig: RigUnderTest, signed: bool) -> None:
    key, body = f"chunked-{uuid.uuid4()}", bytes(range(256)) * 4096
    assert upload(rig, key, body, crc32(body), signed).status_code == 200
    stored = rig.client("s3").get_object(Bucket=rig.facts["bucket"], Key=key, ChecksumMode="ENABLED")
    assert stored["Body"].read() == body
    assert "ContentEncoding" not in stored
    assert stored["ChecksumCRC32"] == crc32(body)


def test_a_wrong_checksum_is_refused(rig: RigUnderTest) -> None:
    answer = upload(rig, f"chunked-{uuid.uuid4()}", b"body", crc32(b"other"), signed=False)
    assert answer.status_code == 400
    assert "<Code>BadDigest</Code>" in answer.text
