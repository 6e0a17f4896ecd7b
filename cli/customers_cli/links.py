"""Presigned links of S3: files go up and come down in blocks, and no credential of ours goes with them."""

import io
import re
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO

import httpx

from customers_cli.failures import BrokenLink
from customers_cli.world import ATTEMPTS, TRANSFER_TIMEOUT, Say, World

BLOCK_BYTES = 1 << 16

type At = Callable[[int], None]  # is told how many bytes have gone so far


class Links:
    def __init__(self, world: World, say: Say) -> None:
        self._world = world
        self._say = say
        self._http = world.http(timeout=TRANSFER_TIMEOUT)

    def close(self) -> None:
        self._http.close()

    def upload(self, link: Mapping[str, Any], path: Path, at: At) -> None:
        """S3's "POST Object": the fields, then the file. Raises `BrokenLink`, `OSError`."""
        with _Watched(path, at) as file:
            try:
                response = self._http.post(link["url"], data=dict(link["fields"]), files={"file": ("file", file)})
            except httpx.RequestError as error:
                raise _broken(error) from None
        if not response.is_success:
            raise _refused(response, "upload")

    def download(self, urls: Iterator[str], target: BinaryIO, at: At) -> None:
        """Fill `target` from the next of `urls`, again from its start after a fault. Raises `BrokenLink`."""
        attempt = 0
        while True:
            target.seek(0)
            target.truncate()
            try:
                return self._copy(next(urls), target, at)
            except BrokenLink as broken:
                attempt += 1
                if attempt == ATTEMPTS or not broken.again:
                    raise
                self._world.pause(attempt - 1, broken, self._say)

    def _copy(self, url: str, target: BinaryIO, at: At) -> None:
        try:
            with self._http.stream("GET", url, headers={"Accept-Encoding": "identity"}) as response:
                if not response.is_success:
                    response.read()
                    raise _refused(response, "download")
                for block in response.iter_bytes(BLOCK_BYTES):
                    target.write(block)
                    at(target.tell())
        except httpx.RequestError as error:
            raise _broken(error) from None


class _Watched(io.BufferedReader):
    """A file that tells how far it is read."""

    def __init__(self, path: Path, at: At) -> None:
        super().__init__(io.FileIO(path))
        self._at = at

    def read(self, size: int | None = -1, /) -> bytes:
        block = super().read(size)
        self._at(self.tell())
        return block


def _broken(error: httpx.RequestError) -> BrokenLink:
    return BrokenLink(f"The file store cannot be reached: {type(error).__name__}", again=True)


def _refused(response: httpx.Response, what: str) -> BrokenLink:
    """A link that has expired is a 403."""
    code = re.search(r"<Code>(\w+)</Code>", response.text)
    reason = code[1] if code else response.reason_phrase
    again = (
        response.status_code == HTTPStatus.FORBIDDEN
        or response.is_server_error
        or reason in {"RequestTimeout", "SlowDown"}
    )
    return BrokenLink(f"The file store refuses the {what}: {response.status_code} {reason}", again=again)
