"""How this process reaches others: a part of `Settings`, in a file of its own because each limit is a setting."""

from pathlib import Path

from pydantic import BaseModel, Field

MIB, GIB = 2**20, 2**30


class TransportSettings(BaseModel):
    """Outbound HTTP, S3, and what pulls make of it. Set as `C360_HTTP_*`, `C360_S3_*`, `C360_PULL_*`."""

    secrets_dir: Path | None = Field(
        default=None, description="Folder of secret files, one per name, mode 0600; unset means C360_HOME/secrets"
    )
    http_allow_loopback: bool = Field(
        default=False, description="Let outbound requests reach this machine, without TLS too; for tests and tunnels"
    )
    http_ca_file: Path | None = Field(default=None, description="Certificates (PEM) to trust instead of the usual ones")
    http_connect_seconds: float = Field(default=10, gt=0, description="Time to reach another server")
    http_read_seconds: float = Field(default=30, gt=0, description="Longest silence in an answer")
    http_total_seconds: float = Field(default=300, gt=0, description="Time for one answer to arrive whole")
    http_response_bytes: int = Field(default=64 * MIB, ge=1024, description="Largest answer, after inflating")
    http_attempts: int = Field(default=5, ge=1, le=20, description="Tries of one request, the first included")
    http_wait_seconds: float = Field(
        default=60, ge=0, description="Longest wait before a retry; a server that asks for more ends the command"
    )
    s3_endpoint: str | None = Field(default=None, description="S3 endpoint other than AWS, https://…")
    s3_region: str | None = Field(default=None, description="S3 region; unset leaves it to boto3")
    s3_credentials_file: Path | None = Field(
        default=None, description="AWS credentials file; unset leaves the credentials to boto3's own chain"
    )
    s3_profile: str | None = Field(default=None, description="Profile in the AWS credentials file")
    s3_object_bytes: int = Field(default=10 * GIB, ge=1, description="Largest S3 object that is fetched")
    pull_file_rows: int = Field(default=10_000, ge=1, description="Rows after which a REST pull hands a file on")
