"""From a request's headers to its caller."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from customers import keys
from customers.auth import api_keys
from customers.auth.api_keys import StoredKey
from customers.auth.caller import SCOPES, Caller
from customers.auth.jwks import KeySet, fetch_keys
from customers.auth.shared_secret import read_secret
from customers.auth.tokens import Tokens, invalid_token, names
from customers.errors import Unauthorized
from customers.settings import AuthSettings

SCOPE_CLAIMS = ("scope", "scp", "scopes", "permissions")  # RFC 8693, and what Entra ID, Okta and Auth0 call it


class Authenticator:
    """Made once, at cold start, where it reads the secret that the settings name (may raise `SettingsError`).

    `find_key` looks up an API key by its key id; `clock` gives seconds since the epoch.
    """

    def __init__(
        self,
        settings: AuthSettings,
        find_key: Callable[[str], StoredKey | None],
        *,
        clock: Callable[[], float] = time.time,
        fetch: Callable[[str], bytes] = fetch_keys,
    ) -> None:
        secret = settings.jwt_secret.get_secret_value().encode() if settings.jwt_secret else None
        if settings.jwt_secret_arn:
            secret = read_secret(settings.jwt_secret_arn)
        key_set = KeySet(settings.jwks_url, fetch, clock) if settings.jwks_url else None
        self._tokens = Tokens(settings, secret, key_set.find if key_set else None, clock)
        self._settings = settings
        self._find_key = find_key
        self._clock = clock

    def authenticate(self, headers: Mapping[str, str]) -> Caller:
        """The caller that `headers` (names in lower case) prove. Raises `Unauthorized`.

        Every credential that was sent must hold: an invalid one is not rescued by the other.
        """
        bearer, api_key = headers.get("authorization"), headers.get("x-api-key")
        by_token = self._by_token(bearer) if bearer is not None else None
        by_key = self._by_key(api_key) if api_key is not None else None
        if by_token and by_key:
            if (by_token.owner_id, by_token.is_admin) != (by_key.owner_id, by_key.is_admin):
                raise Unauthorized("The access token and the API key name different callers", reason="invalid_token")
            return Caller(by_token.owner_id, by_token.is_admin, by_token.scopes & by_key.scopes)
        caller = by_token or by_key
        if caller is None:
            raise Unauthorized("Send an access token or an API key")
        return caller

    def _by_token(self, authorization: str) -> Caller:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise invalid_token()
        claims = self._tokens.claims(token.lstrip(" "))  # RFC 6750, section 2.1: one or more spaces
        owner_id = claims.get(self._settings.jwt_owner_claim)
        if not keys.is_owner_id(owner_id):
            raise invalid_token()
        is_admin = names(claims.get(self._settings.jwt_admin_claim), self._settings.jwt_admin_value)
        return Caller(owner_id, is_admin, _scopes(claims))

    def _by_key(self, text: str) -> Caller:
        stored = api_keys.verify(text, self._find_key, datetime.fromtimestamp(self._clock(), UTC))
        if stored is None:
            raise Unauthorized("The API key is not valid", reason="invalid_token")
        return Caller(stored.owner_id, stored.role == "admin", stored.scopes & SCOPES)


def _scopes(claims: Mapping[str, object]) -> frozenset[str]:
    """What the scope claims name, in a string or a list; a token without any such claim is not restricted."""
    present = [claims[name] for name in SCOPE_CLAIMS if name in claims]
    if not present:
        return SCOPES
    lists = [claim.split() if isinstance(claim, str) else claim for claim in present]
    return SCOPES.intersection(
        scope for each in lists if isinstance(each, list) for scope in each if isinstance(scope, str)
    )
