"""S3 for tests: a bucket in moto, objects put into it, and stores that change between listing and fetching."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3

from jobs.core.settings import Settings
from jobs.transport.s3 import ObjectStore, StoredObject

BUCKET = "exports"
REGION = "us-east-1"
HEADER = "campaign_id,campaign_type,start_date,end_date\n"


def client(endpoint: str | None = None) -> Any:
    return boto3.client(
        "s3", region_name=REGION, endpoint_url=endpoint, aws_access_key_id="test", aws_secret_access_key="test"
    )


def campaigns(*numbers: int) -> bytes:
    """A file of the source crm_campaigns."""
    return (HEADER + "".join(f"{n},TypeA,2017-01-01,2017-02-01\n" for n in numbers)).encode()


def put(s3: Any, key: str, body: bytes) -> None:
    s3.put_object(Bucket=BUCKET, Key=key, Body=body)


class SmallPages(ObjectStore):
    """Lists seven at a time."""

    def list(self, *arguments: Any, **keywords: Any) -> Iterator[StoredObject]:
        return super().list(*arguments, **keywords | {"page_size": 7})


class Shaky(ObjectStore):
    """Does something to the bucket after it has listed it whole."""

    def __init__(self, settings: Settings, client: Any, then: Callable[[], None]) -> None:
        super().__init__(settings, client)
        self._then = then

    def list(self, *arguments: Any, **keywords: Any) -> Iterator[StoredObject]:
        found = list(super().list(*arguments, **keywords))
        self._then()
        yield from found
