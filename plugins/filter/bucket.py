"""The variables of an S3 bucket, in the names that applications and SDKs read."""

from typing import Any

# boto3 itself reads AWS_DEFAULT_REGION and AWS_ENDPOINT_URL_S3.
NAMES = {
    "bucket": ("S3_BUCKET", "S3_BUCKET_NAME", "AWS_S3_BUCKET", "AWS_BUCKET_NAME", "AWS_STORAGE_BUCKET_NAME"),
    "region": ("S3_REGION", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_S3_REGION_NAME"),
    "endpoint": ("S3_ENDPOINT_URL", "AWS_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"),
}


def bucket_variables(bucket: str, region: str, endpoint: str) -> dict[str, str]:
    """Return S3_BUCKET and its like; nothing without a bucket, and nothing for an empty value.

    Args:
        bucket: app_s3_bucket.
        region: app_s3_region.
        endpoint: app_s3_endpoint; empty for AWS, whose SDKs find it by the region.
    """
    given = {"bucket": bucket, "region": region, "endpoint": endpoint} if bucket else {}
    return {name: value for kind, value in given.items() if value for name in NAMES[kind]}


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {"bucket_variables": bucket_variables}
