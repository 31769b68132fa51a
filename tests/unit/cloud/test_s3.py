"""The local S3 for hosts: over TLS, with a certificate that they trust."""

import os
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from tests.support.cloud import ec2, hosts, s3
from tests.support.live.fleet import eventually
from tests.support.sockets import accepts_connections, free_port


def test_an_object_is_stored_and_read_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "KEY", tmp_path / "s3.key")
    monkeypatch.setattr(hosts, "CERTIFICATE", tmp_path / "s3.crt")
    upstream, port = free_port(), free_port()
    s3.certify("127.0.0.1")
    assert s3.KEY.stat().st_mode & 0o777 == 0o600
    content = os.urandom(300_000)
    with ec2.serving(upstream):
        location = {"LocationConstraint": ec2.REGION}
        ec2.client("s3", upstream).create_bucket(Bucket="shop", CreateBucketConfiguration=location)
        s3.serve("127.0.0.1", upstream, port)
        assert eventually(lambda: accepts_connections(port), within=10)
        client = boto3.client(
            "s3",
            endpoint_url=f"https://127.0.0.1:{port}",
            verify=str(hosts.CERTIFICATE),
            region_name=ec2.REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(proxies={}, read_timeout=20, retries={"total_max_attempts": 1}),
        )
        client.put_object(Bucket="shop", Key="file", Body=content)
        assert client.get_object(Bucket="shop", Key="file")["Body"].read() == content
