"""The bucket of uploads and results: one S3 client with its limits, streams in and out, and links for users.

`uploads/` is as users sent it, `steps/` is between the steps of an import, `results/` is for users. The lifecycle rule
of the bucket removes all of it after `LIFE_DAYS`.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from shutil import copyfileobj
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from customers import aws, lifecycle
from customers.errors import Unavailable

if TYPE_CHECKING:
    from _typeshed import SupportsWrite
    from mypy_boto3_s3 import S3Client

LIFE_DAYS = 7
LINK_SECONDS = 3600
CONNECT_SECONDS = 1
READ_SECONDS = 10  # for the first byte, and between two
ATTEMPTS = 3
PART_BYTES = 5 << 20  # S3 takes no smaller part but the last, and 10,000 of them
COPY_BYTES = 1 << 20


CSV_TYPE = "text/csv"
UPLOADS = "uploads/"  # what the keys of uploads begin with; an event of the bucket names one


def upload_key(import_id: str) -> str:
    return UPLOADS + import_id


def rows_key(import_id: str) -> str:
    """The copy of an upload that workers read, in CSV."""
    return f"steps/{import_id}/rows.csv"


def part_key(import_id: str, chunk: int) -> str:
    """The rejected rows of a chunk."""
    return f"steps/{import_id}/rejected-{chunk:05}.csv"


def rejected_key(import_id: str) -> str:
    return f"results/{import_id}/rejected.csv"


def export_key(export_id: str, extension: str) -> str:
    return f"results/{export_id}/customers.{extension}"


class Absent(Exception):
    """There is no such object."""


class Files:
    """Safe for threads; every method but the links may raise `Unavailable`."""

    def __init__(self, bucket: str, client: "S3Client | None" = None) -> None:
        self._bucket = bucket
        self._client = client or _client()
        lifecycle.after_restore(self._renew)

    def _renew(self) -> None:
        """Start again with a new client: new connections, and credentials as they are now."""
        self._client = _client()

    def upload_link(self, key: str, *, content_type: str, max_bytes: int) -> tuple[str, dict[str, str]]:
        """Address and form fields of an upload (S3's "POST Object") that takes 1 to `max_bytes` bytes of that type."""
        post = self._client.generate_presigned_post(
            self._bucket,
            key,
            Fields={"Content-Type": content_type},
            Conditions=[{"Content-Type": content_type}, ["content-length-range", 1, max_bytes]],
            ExpiresIn=LINK_SECONDS,
        )
        return post["url"], post["fields"]

    def download_link(self, key: str, *, file_name: str) -> str:
        """An address that gives the object to be saved under `file_name`, which is plain ASCII."""
        disposition = f'attachment; filename="{file_name}"'
        wanted = {"Bucket": self._bucket, "Key": key, "ResponseContentDisposition": disposition}
        return self._client.generate_presigned_url("get_object", Params=wanted, ExpiresIn=LINK_SECONDS)

    def has(self, key: str) -> bool:
        try:
            with _known_errors():
                self._client.head_object(Bucket=self._bucket, Key=key)
        except Absent:
            return False
        return True

    def copy_to(self, key: str, target: "SupportsWrite[bytes]") -> None:
        """Write the object to a file. Raises `Absent`."""
        with _known_errors():
            copyfileobj(self._client.get_object(Bucket=self._bucket, Key=key)["Body"], target, COPY_BYTES)

    def read(self, key: str, start: int, length: int) -> bytes:
        """`length` bytes of the object from `start` on. Raises `Absent`."""
        with _known_errors():
            wanted = f"bytes={start}-{start + length - 1}"
            return self._client.get_object(Bucket=self._bucket, Key=key, Range=wanted)["Body"].read()

    def write(self, key: str, content: bytes, *, content_type: str) -> None:
        with _known_errors():
            self._client.put_object(Bucket=self._bucket, Key=key, Body=content, ContentType=content_type)

    def writer(self, key: str, *, content_type: str) -> "Writer":
        """A file to write an object of any size through; it is there once the `with` block has ended well."""
        return Writer(self._client, {"Bucket": self._bucket, "Key": key}, content_type)

    def delete(self, keys: list[str]) -> None:
        """One that is gone already is no error."""
        with _known_errors():
            for key in keys:
                self._client.delete_object(Bucket=self._bucket, Key=key)


class Writer:
    """A multipart upload. Holds one part in memory."""

    def __init__(self, client: "S3Client", place: dict[str, str], content_type: str) -> None:
        self.size = 0  # bytes written
        self._client: Any = client
        self._place = place
        self._content_type = content_type
        self._buffer = bytearray()
        self._parts: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        with _known_errors():
            answer = self._client.create_multipart_upload(**self._place, ContentType=self._content_type)
        self._upload = {**self._place, "UploadId": answer["UploadId"]}
        return self

    def write(self, content: bytes) -> None:
        self._buffer += content
        self.size += len(content)
        if len(self._buffer) >= PART_BYTES:
            self._send()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error:
            with suppress(Unavailable), _known_errors():  # what has gone wrong first is what counts
                self._client.abort_multipart_upload(**self._upload)
            return
        with _known_errors():
            if self._buffer or not self._parts:  # also an empty object has one part
                self._send()
            self._client.complete_multipart_upload(**self._upload, MultipartUpload={"Parts": self._parts})

    def _send(self) -> None:
        number = len(self._parts) + 1
        with _known_errors():
            answer = self._client.upload_part(**self._upload, PartNumber=number, Body=bytes(self._buffer))
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        self._buffer.clear()


@contextmanager
def _known_errors() -> Iterator[None]:
    """What the SDK could not heal becomes `Unavailable`; a refusal stays what it is, a bug or a missing permission."""
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] in {"404", "NoSuchKey"}:
            raise Absent from None
        if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:  # noqa: PLR2004 - HTTP
            raise Unavailable from error
        raise
    except (BotoCoreError, OSError) as error:  # also a body that broke off
        raise Unavailable from error


def _client() -> "S3Client":
    client: S3Client = aws.client(
        "s3",
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        signature_version="s3v4",
        s3={"addressing_style": "virtual"},  # names the region, so that a link to a new bucket needs no redirect
    )
    return client
