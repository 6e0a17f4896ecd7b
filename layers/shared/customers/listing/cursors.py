"""Cursors: places in a listing that a client may hold, and neither read as anything else nor change.

A cursor is a `Position` in JSON behind a signature (HMAC-SHA256) of it and of the listing, owner included, that it was
given for; it says nothing that its page did not. The secret is one item of the table: made when it is first needed,
read once in a function's life. Whoever deletes it ends all cursors.
"""

import hashlib
import hmac
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import cached_property

from customers import keys
from customers.dynamodb import Cancelled, Table, Write
from customers.errors import Invalid
from customers.listing.position import Position

SECRET_BYTES = 32
SIGNATURE_BYTES = 16  # RFC 2104, section 5: no less than half of the hash


class Cursors:
    def __init__(self, table: Table) -> None:
        self._table = table

    def write(self, position: Position, listing: str) -> str:
        content = json.dumps([position.rank, int(position.backward), *position.values], separators=(",", ":")).encode()
        return urlsafe_b64encode(self._signature(content, listing) + content).decode().rstrip("=")

    def read(self, cursor: str, listing: str) -> Position:
        """Raises `Invalid` for anything but a cursor that was given for this listing."""
        try:
            raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        except ValueError:
            raise _invalid() from None
        signature, content = raw[:SIGNATURE_BYTES], raw[SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._signature(content, listing)):
            raise _invalid()
        rank, backward, *values = json.loads(content)
        return Position(rank, tuple(values), bool(backward))

    @property
    def prepared(self) -> bool:
        return "_secret" in self.__dict__

    def prepare(self) -> None:
        """Have the secret at hand. Raises `Unavailable`."""
        _ = self._secret

    def _signature(self, content: bytes, listing: str) -> bytes:
        return hmac.digest(self._secret, listing.encode() + content, hashlib.sha256)[:SIGNATURE_BYTES]

    @cached_property
    def _secret(self) -> bytes:
        item = self._table.get(keys.CURSOR_SECRET)
        if item is None:
            secret = secrets.token_hex(SECRET_BYTES)
            made = {**keys.CURSOR_SECRET, "secret": secret}
            try:
                self._table.transact({"secret": Write("Put", item=made, condition="attribute_not_exists(pk)")})
            except Cancelled as cancelled:  # another function was faster
                secret = cancelled.failed["secret"]["secret"]
        else:
            secret = item["secret"]
        return bytes.fromhex(secret)


def _invalid() -> Invalid:
    return Invalid.at("query", "cursor", msg="Not a cursor of this listing", kind="cursor_invalid")
