"""The issuer's public keys (JWK set, RFC 7517), kept in memory and fetched with care.

A set is fetched when a token needs it, again once it is `TTL_SECONDS` old, and when a token names a key that is not in
it; never more than once in `COOLDOWN_SECONDS`, whether or not that fetch worked. While the issuer is out of reach the
keys we have go on working.
"""

import http.client
import logging
import math
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from functools import partial
from http import HTTPStatus
from threading import Lock, Thread
from typing import Any
from urllib.parse import urlsplit

from pydantic_core import from_json

from customers.auth.tokens import Verify
from customers.errors import Unavailable

TTL_SECONDS = 600
COOLDOWN_SECONDS = 30
DEADLINE_SECONDS = 2.0
MAX_BYTES = 256 * 1024
MIN_RSA_BITS = 2_048  # RFC 7518, section 3.3

# What a key must be to check an algorithm's signatures. RFC 9864 calls Ed25519 what RFC 8037 called EdDSA.
KEY_OF: Mapping[str, Mapping[str, str]] = {
    "RS256": {"kty": "RSA"},
    "ES256": {"kty": "EC", "crv": "P-256"},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
    "Ed25519": {"kty": "OKP", "crv": "Ed25519"},
}
_PUBLIC_MEMBERS = ("kty", "crv", "n", "e", "x", "y")

logger = logging.getLogger(__name__)

type _Keys = Mapping[tuple[object, str], Verify]  # by key id (else a number) and algorithm


class KeySet:
    """The keys behind one URL. Safe for threads: one fetches, the others wait for it.

    `clock` gives seconds since the epoch: time that a sandbox spends frozen counts, too.
    """

    def __init__(self, url: str, fetch: Callable[[str], bytes], clock: Callable[[], float]) -> None:
        self._url = url
        self._fetch = fetch
        self._clock = clock
        self._lock = Lock()
        self._keys: _Keys | None = None
        self._fetched_at = self._tried_at = -math.inf

    def find(self, kid: str | None, alg: str) -> Verify | None:
        """The check of the key `kid` names; a token without a key id needs a set that has one key for its algorithm.

        Raises `Unavailable` when the set was never reached: a token that it would prove must not be called invalid.
        """
        if alg not in KEY_OF:
            return None
        found = self._pick(kid, alg)
        if found is None or self._clock() - self._fetched_at >= TTL_SECONDS:
            self._refresh()
            found = self._pick(kid, alg)
        if self._keys is None:
            raise Unavailable
        return found

    def _pick(self, kid: str | None, alg: str) -> Verify | None:
        keys = self._keys or {}
        if kid is not None:
            return keys.get((kid, alg))
        fitting = [verify for (_, key_alg), verify in keys.items() if key_alg == alg]
        return fitting[0] if len(fitting) == 1 else None

    def _refresh(self) -> None:
        with self._lock:
            now = self._clock()
            if now - self._tried_at < COOLDOWN_SECONDS:
                return
            self._tried_at = now
            try:
                self._keys = _read(self._fetch(self._url))
            except (OSError, ValueError, http.client.HTTPException) as error:
                logger.warning("The JWK set could not be fetched: %.200r", error)
            else:
                self._fetched_at = now


def _read(body: bytes) -> _Keys:
    """The usable keys of a set. Raises ValueError when it is none; a key that is unsound or not for us is left out."""
    document = from_json(body, allow_inf_nan=False)
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise ValueError("not a JWK set")  # noqa: TRY004 - of the document, not of our call
    keys: dict[tuple[object, str], Verify] = {}
    for number, jwk in enumerate(document["keys"]):
        for alg in KEY_OF:
            if isinstance(jwk, dict) and _fits(jwk, alg) and (verify := _verify_with(jwk, alg)):
                kid = jwk.get("kid")
                keys[number if kid is None else kid, alg] = verify  # without a key id it has a place of its own
    return keys


def _fits(jwk: Mapping[str, object], alg: str) -> bool:
    operations = jwk.get("key_ops", ["verify"])
    return (
        isinstance(jwk.get("kid"), str | None)
        and jwk.get("alg", alg) == alg
        and jwk.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and all(jwk.get(member) == value for member, value in KEY_OF[alg].items())
    )


def _verify_with(jwk: Mapping[str, Any], alg: str) -> Verify | None:
    from joserfc.jwk import RSAKey, import_key  # noqa: PLC0415 - brings `cryptography`, 170 ms that few callers need
    from joserfc.jws import JWSRegistry  # noqa: PLC0415

    try:
        key = import_key({name: jwk[name] for name in _PUBLIC_MEMBERS if name in jwk})
    except Exception:  # whatever one bad key raises, the others of the set must work
        return None
    if isinstance(key, RSAKey) and key.raw_value.key_size < MIN_RSA_BITS:
        return None
    return partial(JWSRegistry.algorithms[alg].verify, key=key)


def fetch_keys(url: str) -> bytes:
    """The body at `url`, complete within `DEADLINE_SECONDS`; redirects are not followed.

    A socket's timeout bounds one read, and nothing bounds the resolver: so a thread does the work and this one stops
    waiting. Raises OSError, ValueError or HTTPException.
    """
    outcome: list[bytes | Exception] = []
    sockets: list[socket.socket] = []
    deadline = time.monotonic() + DEADLINE_SECONDS

    def work() -> None:
        try:
            outcome.append(_get(url, sockets, deadline))
        except Exception as error:  # raised again by the thread that waits
            outcome.append(error)

    worker = Thread(target=work, daemon=True)
    worker.start()
    worker.join(DEADLINE_SECONDS)
    if not outcome:
        for connected in sockets:
            with suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)  # ends a read of the worker, and so the worker
        raise TimeoutError
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def _get(url: str, sockets: list[socket.socket], deadline: float) -> bytes:
    parts = urlsplit(url)
    connection_class = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    with closing(connection_class(parts.hostname or "", parts.port, timeout=DEADLINE_SECONDS)) as connection:
        connection.connect()
        sockets.append(connection.sock)
        if time.monotonic() >= deadline:
            raise TimeoutError  # nobody waits any more, so nobody would shut this socket
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"Accept": "application/json"})
        with connection.getresponse() as response:
            if response.status != HTTPStatus.OK:
                raise ValueError(f"status {response.status}")
            body = response.read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        raise ValueError("too large")
    return body
