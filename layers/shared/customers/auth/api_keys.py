"""API keys: `cust_<key id>_<secret><checksum>`. No database here, only what a key looks like and when it holds.

The prefix lets secret scanners find a leaked key, the key id finds its record, the secret has 256 bits and the checksum
keeps whatever is not a key of ours away from the table. A secret that long needs no slow hash: SHA-256 of it cannot be
searched.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Self

from customers import keys
from customers.auth.caller import SCOPES

KEY_ID_LENGTH = 12
SECRET_LENGTH = 43  # 62**43 > 2**256
CHECKSUM_LENGTH = 6  # 62**6 > 2**32

_DIGITS = string.digits + string.ascii_letters
_PATTERN = re.compile(
    rf"(cust_([0-9A-Za-z]{{{KEY_ID_LENGTH}}})_([0-9A-Za-z]{{{SECRET_LENGTH}}}))([0-9A-Za-z]{{{CHECKSUM_LENGTH}}})"
)
_NO_HASH = "0" * 64  # compared for an unknown key id, so that it costs what a known one does


@dataclass(frozen=True, slots=True)
class StoredKey:
    """What the table knows of a key. `secret_hash` is the secret's SHA-256 in hex; times are aware.

    `successor` is the id of the key that replaces it since a rotation.

    Raises ValueError for an owner id that could not be part of a key of the table, or an unknown role.
    """

    key_id: str
    secret_hash: str = field(repr=False)
    owner_id: str
    role: Literal["owner", "admin"]
    scopes: frozenset[str] = SCOPES
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    name: str | None = None
    successor: str | None = None

    def __post_init__(self) -> None:
        if not keys.is_owner_id(self.owner_id) or self.role not in {"owner", "admin"}:
            raise ValueError("An API key needs a valid owner id and the role owner or admin")

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        times = {
            name: datetime.fromisoformat(item[name])
            for name in ("expires_at", "revoked_at", "created_at")
            if item.get(name) is not None
        }
        return cls(
            key_id=item["key_id"],
            secret_hash=item["secret_hash"],
            owner_id=item["owner_id"],
            role=item["role"],
            scopes=frozenset(item["scopes"]),
            name=item.get("name"),
            successor=item.get("successor"),
            **times,
        )

    def to_item(self) -> dict[str, Any]:
        """The item's attributes, its keys and absent values left out."""
        attributes = {
            "key_id": self.key_id,
            "secret_hash": self.secret_hash,
            "owner_id": self.owner_id,
            "role": self.role,
            "scopes": sorted(self.scopes),
            "name": self.name,
            "successor": self.successor,
        }
        # Text, so that the table's TTL, which reads numbers, keeps expired keys for the list of keys.
        times = {"expires_at": self.expires_at, "revoked_at": self.revoked_at, "created_at": self.created_at}
        attributes |= {name: keys.timestamp(time) for name, time in times.items() if time}
        return {name: value for name, value in attributes.items() if value is not None}

    def usable_at(self, time: datetime) -> bool:
        return (self.expires_at is None or time < self.expires_at) and (
            self.revoked_at is None or time < self.revoked_at
        )


def mint() -> tuple[str, str, str]:
    """A new key: its text, to be shown once and never stored; its key id; the hash of its secret."""
    key_id = "".join(secrets.choice(_DIGITS) for _ in range(KEY_ID_LENGTH))
    secret = _base62(secrets.randbits(256), SECRET_LENGTH)
    body = f"cust_{key_id}_{secret}"
    return body + _checksum(body), key_id, hash_secret(secret)


def parse(text: str) -> tuple[str, str] | None:
    """Key id and secret of a well-formed key; None for anything else."""
    match = _PATTERN.fullmatch(text)
    if match is None or _checksum(match[1]) != match[4]:
        return None
    return match[2], match[3]


def hash_secret(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def verify(text: str, find_key: Callable[[str], StoredKey | None], now: datetime) -> StoredKey | None:
    """The stored key that `text` proves; None if it is junk, unknown, wrong, expired or revoked, all at one price."""
    parsed = parse(text)
    if parsed is None:
        return None
    key_id, secret = parsed
    stored = find_key(key_id)
    matches = hmac.compare_digest(hash_secret(secret), stored.secret_hash if stored else _NO_HASH)
    return stored if stored and matches and stored.usable_at(now) else None


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    text = ""
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
    return text
