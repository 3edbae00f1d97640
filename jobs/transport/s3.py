"""Objects on S3, or on a store that speaks like it: list a prefix, fetch an object, put one. Nothing is ever deleted there.

Credentials come from boto3's own chain, or from the file that the settings name; they are in no log and no error.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import urlsplit

from jobs.core.errors import AuthError, C360Error, PermanentError, RetryableError
from jobs.core.settings import Settings

BLOCK = 1_048_576
GONE = ("NoSuchKey", "NoSuchVersion", "404", "MethodNotAllowed")  # the last one: a delete marker
CHANGED = ("PreconditionFailed", "412", "ConditionalRequestConflict")
ASLEEP = ("InvalidObjectState",)
AUTH = ("AccessDenied", "403", "401", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken")
OUR_DISK = (OSError,)  # botocore's own errors are none
LATER = ("SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "RequestTimeTooSkewed", "500", "503")


class ObjectNotTakenError(PermanentError):
    """One object that could not be fetched as it was listed; `status` is vanished, changed, archived or too_large."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class StoredObject:
    """One object as it was listed. `version` is None where only the latest was asked for."""

    bucket: str
    key: str
    etag: str
    version: str | None
    size: int


class ObjectStore:
    """One connection to a store."""

    def __init__(self, settings: Settings, client: Any = None) -> None:
        self._settings = settings
        self._client = client or _client(settings)

    def list(self, bucket: str, prefix: str, *, all_versions: bool, page_size: int = 1000) -> Iterator[StoredObject]:
        """All objects under a prefix, in the order of their keys; with `all_versions` older versions too, oldest first.

        Placeholders of folders (empty, name ending in /) are passed over. Nothing depends on a date.
        """
        operation, field = ("list_object_versions", "Versions") if all_versions else ("list_objects_v2", "Contents")
        pages = self._client.get_paginator(operation).paginate(
            Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": page_size}
        )
        same_key: list[StoredObject] = []
        with _explaining(f"bucket {bucket}"):
            for page in pages:
                for entry in page.get(field, []):
                    if entry["Key"].endswith("/") and not entry["Size"]:
                        continue
                    if same_key and same_key[0].key != entry["Key"]:
                        yield from reversed(same_key)
                        same_key = []
                    same_key.append(_listed(bucket, entry))
        yield from reversed(same_key)

    def fetch(self, stored: StoredObject, out: IO[bytes]) -> Iterator[int]:
        """Writes the object's bytes to `out`, block by block; yields how many there are so far.

        Raises ObjectNotTakenError when it is gone, has changed since it was listed, or is too large; AuthError,
        PermanentError, RetryableError when the store as a whole does not answer as it should.
        """
        if stored.size > self._settings.s3_object_bytes:
            raise ObjectNotTakenError("too_large", f"{stored.size} bytes; see C360_S3_OBJECT_BYTES")
        with _explaining(f"an object of bucket {stored.bucket}", but=OUR_DISK):
            yield from self._copy(stored, out)

    def put(self, bucket: str, key: str, content: IO[bytes]) -> None:
        """Makes or replaces an object, in parts when it is large; others see all of it or none.

        Raises AuthError, PermanentError or RetryableError when the store does not take it.
        """
        with _explaining(f"an object of bucket {bucket}", but=OUR_DISK):
            self._client.upload_fileobj(content, bucket, key, ExtraArgs={"ChecksumAlgorithm": "SHA256"})

    def put_unless_changed(self, bucket: str, key: str, content: bytes, *, etag: str | None) -> None:
        """Replaces the object that has this etag, or makes one where there is none (None): one step at the store.

        Raises RetryableError when another one is there, or none any more; otherwise as `put`.
        """
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": f'"{etag}"'}
        try:
            with _explaining(f"an object of bucket {bucket}"):
                self._client.put_object(Bucket=bucket, Key=key, Body=content, ChecksumAlgorithm="SHA256", **condition)
        except ObjectNotTakenError as error:
            raise RetryableError(f"an object of bucket {bucket} was written meanwhile; run it again") from error

    def _copy(self, stored: StoredObject, out: IO[bytes]) -> Iterator[int]:
        version = {"VersionId": stored.version} if stored.version else {}
        answer = self._client.get_object(
            Bucket=stored.bucket, Key=stored.key, IfMatch=f'"{stored.etag}"', ChecksumMode="ENABLED", **version
        )
        if answer["ETag"].strip('"') != stored.etag or answer["ContentLength"] != stored.size:
            raise ObjectNotTakenError("changed", "it is another object than the one that was listed")
        done = 0
        with closing(answer["Body"]) as body:
            for block in body.iter_chunks(BLOCK):
                out.write(block)
                done += len(block)
                yield done
        if done != stored.size:
            raise RetryableError(f"{done} of {stored.size} bytes arrived; run it again")


def _listed(bucket: str, entry: dict[str, Any]) -> StoredObject:
    return StoredObject(bucket, entry["Key"], entry["ETag"].strip('"'), entry.get("VersionId"), entry["Size"])


def _client(settings: Settings) -> Any:
    import boto3
    import botocore.session
    from botocore.config import Config

    session = botocore.session.Session()
    profile = settings.s3_profile
    if settings.s3_credentials_file:
        if not settings.s3_credentials_file.is_file():
            raise AuthError(f"C360_S3_CREDENTIALS_FILE: {settings.s3_credentials_file} is no file")
        session.set_config_variable("credentials_file", str(settings.s3_credentials_file))
        profile = profile or "default"  # named, so that the environment does not come first
    config = Config(
        connect_timeout=settings.http_connect_seconds,
        read_timeout=settings.http_read_seconds,
        retries={"mode": "standard", "max_attempts": settings.http_attempts},
        proxies={},  # given and empty: the proxies of the environment are not asked
        ignore_configured_endpoint_urls=True,
        s3={"addressing_style": "path"} if settings.s3_endpoint else None,
    )
    with _explaining("the S3 settings"):
        return boto3.Session(botocore_session=session, profile_name=profile).client(
            "s3",
            region_name=settings.s3_region,
            endpoint_url=_endpoint(settings),
            config=config,
            verify=str(settings.http_ca_file) if settings.http_ca_file else None,
        )


def _endpoint(settings: Settings) -> str | None:
    """Raises PermanentError when the endpoint is not encrypted and not on this machine."""
    from jobs.transport.http import is_loopback

    url = settings.s3_endpoint
    if url is None:
        return None
    parts = urlsplit(url)
    local = settings.http_allow_loopback and is_loopback(parts.hostname or "")
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise PermanentError("C360_S3_ENDPOINT is not encrypted; expected https://…")
    return url


@contextmanager
def _explaining(what: str, *, but: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Whatever boto3 raises, as an error of ours; `but` these, which pass as they are."""
    try:
        yield
    except but:
        raise
    except Exception as error:
        raise _explained(error, what) from error


def _explained(error: Exception, what: str) -> Exception:
    """The error of ours that says the same in one line; names and credentials that boto3 puts into its own stay out."""
    from botocore import exceptions

    if isinstance(error, C360Error):
        return error
    if isinstance(error, exceptions.ClientError):
        return _of_code(str(error.response.get("Error", {}).get("Code", "no code")), what)
    if isinstance(
        error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError | exceptions.ProfileNotFound
    ):
        return AuthError(
            f"no S3 credentials ({type(error).__name__}); see C360_S3_CREDENTIALS_FILE and C360_S3_PROFILE"
        )
    if isinstance(error, exceptions.ParamValidationError | exceptions.NoRegionError | ValueError):
        return PermanentError(f"{what}: {type(error).__name__}; check bucket, endpoint and C360_S3_REGION")
    if isinstance(error, exceptions.BotoCoreError):
        return RetryableError(f"{what}: no whole answer from S3 ({type(error).__name__}); run it again")
    return error


def _of_code(code: str, what: str) -> C360Error:
    if code in GONE:
        return ObjectNotTakenError("vanished", "it was listed, and gone when it was fetched")
    if code in CHANGED:
        return ObjectNotTakenError("changed", "it was replaced after it was listed; the next run takes the new one")
    if code in ASLEEP:
        return ObjectNotTakenError("archived", "it is in an archive class; restore it first")
    if code in AUTH:
        return AuthError(f"{what}: S3 answered {code}; check the credentials and what they may do")
    if code in LATER:
        return RetryableError(f"{what}: S3 answered {code}; run it again")
    return PermanentError(f"{what}: S3 answered {code}; check bucket and prefix")
