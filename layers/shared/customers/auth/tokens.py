"""JSON Web Tokens (RFC 7519) under one strict policy: what it does not allow is refused.

Compact form only (RFC 7515, section 7.1). The key decides the algorithm: HS256 is for the configured secret and for
nothing else, every other algorithm for the keys of the key set that fit it. A key inside the token (`jwk`, `jku`,
`x5u`, `x5c`) is never looked at.
"""

import base64
import hmac
import json
import math
from collections.abc import Callable, Mapping
from functools import partial

from customers.errors import Unauthorized
from customers.settings import AuthSettings

MAX_TOKEN_LENGTH = 8_192  # characters

type Verify = Callable[[bytes, bytes], bool]  # signed bytes, signature → does it hold
type FindVerify = Callable[[str | None, str], Verify | None]  # key id, algorithm → the check of the key they name


class Tokens:
    """Checks tokens. `clock` gives seconds since the epoch."""

    def __init__(
        self, settings: AuthSettings, secret: bytes | None, find_verify: FindVerify | None, clock: Callable[[], float]
    ) -> None:
        self._issuer, self._audience = settings.jwt_issuer, settings.jwt_audience
        self._leeway = settings.jwt_leeway_seconds
        self._verify_hs256 = partial(_hs256, secret) if secret else None
        self._find_verify = find_verify
        self._clock = clock

    def claims(self, token: str) -> Mapping[str, object]:
        """The claims of a token that is signed, timely and meant for us.

        Raises `Unauthorized`, and `Unavailable` when the keys to check it with were never reached.
        """
        try:
            claims = self._signed_claims(token)
            expires = self._check(claims)
        except (ValueError, RecursionError):  # JSON nested too deeply
            raise invalid_token() from None
        if self._clock() >= expires + self._leeway:  # RFC 7519, section 4.1.4: "on or after"
            raise Unauthorized("The access token has expired", reason="invalid_token")
        return claims

    def _signed_claims(self, token: str) -> dict[str, object]:
        if len(token) > MAX_TOKEN_LENGTH:
            raise ValueError
        header, payload, signature = token.split(".")
        verify = self._verify_for(_json_object(header))
        if verify is None or not verify(f"{header}.{payload}".encode(), _base64url(signature)):
            raise ValueError
        return _json_object(payload)

    def _verify_for(self, header: Mapping[str, object]) -> Verify | None:
        alg, kid, typ = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
        if not isinstance(alg, str) or not isinstance(kid, str | None) or str(typ).lower() not in {"jwt", "at+jwt"}:
            return None
        if "crit" in header:  # RFC 7515, section 4.1.11: refuse what is not understood; nothing is
            return None
        if alg == "HS256":
            return self._verify_hs256
        return self._find_verify(kid, alg) if self._find_verify else None

    def _check(self, claims: Mapping[str, object]) -> float:
        """When the token expires; raises ValueError if anything else is wrong with its claims."""
        now = self._clock()
        if max(_seconds(claims.get("nbf", now)), _seconds(claims.get("iat", now))) > now + self._leeway:
            raise ValueError
        if self._issuer is not None and claims.get("iss") != self._issuer:
            raise ValueError
        if self._audience is not None and not names(claims.get("aud"), self._audience):
            raise ValueError
        return _seconds(claims.get("exp"))


def invalid_token() -> Unauthorized:
    return Unauthorized("The access token is not valid", reason="invalid_token")


def names(claim: object, value: str) -> bool:
    """Whether a claim that is a string or a list of strings (RFC 7519, section 4.1.3) is or holds `value`."""
    values = [claim] if isinstance(claim, str) else claim
    return isinstance(values, list) and all(isinstance(each, str) for each in values) and value in values


def _hs256(secret: bytes, signed: bytes, signature: bytes) -> bool:
    return hmac.compare_digest(hmac.digest(secret, signed, "sha256"), signature)


def _base64url(text: str) -> bytes:
    """Decode base64url without padding (RFC 7515, section 2). Raises ValueError for any but the one right spelling."""
    content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(content).rstrip(b"=") != text.encode():
        raise ValueError
    return content


def _json_object(part: str) -> dict[str, object]:
    value = json.loads(_base64url(part).decode(), object_pairs_hook=_unique, parse_constant=_refuse)
    if not isinstance(value, dict):
        raise ValueError  # noqa: TRY004 - of the token, not of our call
    return value


def _unique(members: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse an object that says a name twice: two readers could read two tokens (RFC 7515, section 4)."""
    unique = dict(members)
    if len(unique) != len(members):
        raise ValueError
    return unique


def _refuse(_: str) -> object:
    raise ValueError  # NaN and Infinity are not JSON


def _seconds(value: object) -> float:
    """A NumericDate (RFC 7519, section 2): finite, and neither a string nor a bool."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -math.inf < value < math.inf:
        raise ValueError
    return value
