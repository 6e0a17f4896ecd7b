"""From headers to a caller: both credentials, their combination, and what an authentication costs to import."""

import json
import logging
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from customers.auth import SCOPES, Authenticator, Caller, StoredKey
from customers.auth.api_keys import parse
from customers.errors import Unauthorized, Unavailable
from customers.settings import AuthSettings, SettingsError

NOW = 1_800_000_000
SECRET = "a secret of this test, 32 bytes +"
READ, WRITE = frozenset({"customers:read"}), frozenset({"customers:write"})
KEY_ID, SECRET_HASH = "Ada0Lovelace", "4955da37a38698583dd334377880a8daf2bf93de83a46793d771964562bdf100"
KEY = "cust_Ada0Lovelace_NotASecretButTheExampleOfTheTests01234567891KzhoB"
UNKNOWN_KEY = "cust_Eve0Stranger_NotASecretButTheExampleOfTheTests01234567892mI8PH"
MESSAGES = {
    "Send an access token or an API key",
    "The access token is not valid",
    "The access token has expired",
    "The API key is not valid",
    "The access token and the API key name different callers",
}


def bearer(**claims: Any) -> str:
    return "Bearer " + jwt.encode({"alg": "HS256"}, {"sub": "ada", "exp": NOW + 60} | claims, OctKey.import_key(SECRET))


def authenticate(headers: Mapping[str, str], key: Mapping[str, Any] | None = None, **settings: Any) -> Caller:
    """With the one API key `KEY`, ada's unless `key` says otherwise."""
    stored = StoredKey(
        **{"key_id": KEY_ID, "secret_hash": SECRET_HASH, "owner_id": "ada", "role": "owner"} | dict(key or {})
    )
    policy = AuthSettings(**{"jwt_secret": SECRET} | settings)
    return Authenticator(policy, {KEY_ID: stored}.get, clock=lambda: NOW).authenticate(headers)


def assert_unauthorized(headers: Mapping[str, str], message: str, **options: Any) -> None:
    with pytest.raises(Unauthorized) as caught:
        authenticate(headers, **options)
    assert caught.value.detail == message
    assert message in MESSAGES


class TestMissing:
    def test_without_a_credential_the_challenge_names_no_error(self) -> None:
        with pytest.raises(Unauthorized, match="Send an access token or an API key") as caught:
            authenticate({"accept": "*/*"})
        assert caught.value.headers == {"WWW-Authenticate": 'Bearer realm="customers"'}

    @pytest.mark.parametrize(
        "value", ["", "Bearer", "Bearer ", "bearer x", "Basic YTpi", "Token x", KEY, "Bearer " + KEY]
    )
    def test_what_is_no_bearer_token_is_not_valid(self, value: str) -> None:
        assert_unauthorized({"authorization": value}, "The access token is not valid")

    @pytest.mark.parametrize(
        "form",
        ["{0}", "Basic {0}", " Bearer {0}", "Bearer {0} ", "Bearer\t{0}", "Bearer {0},Bearer {0}"],
    )
    def test_only_one_spelling_of_the_header_is_read(self, form: str) -> None:
        text = bearer().removeprefix("Bearer ")
        assert_unauthorized({"authorization": form.format(text)}, "The access token is not valid")

    def test_the_scheme_may_be_followed_by_more_than_one_space(self) -> None:
        assert authenticate({"authorization": bearer().replace(" ", "  ")}).owner_id == "ada"

    def test_the_scheme_is_read_in_any_case(self) -> None:
        assert authenticate({"authorization": bearer().replace("Bearer", "bEARER")}).owner_id == "ada"


class TestToken:
    def test_a_plain_token_names_an_owner_with_every_scope(self) -> None:
        assert authenticate({"authorization": bearer()}) == Caller("ada", is_admin=False, scopes=SCOPES)

    @pytest.mark.parametrize(
        "sub", ["a", "auth0|5f7c8ec7", "ada@example.com", "urn:x:y", "https://i.example/ada", "~!$%&'*+", "x" * 128]
    )
    def test_an_owner_is_any_printable_word(self, sub: str) -> None:
        assert authenticate({"authorization": bearer(sub=sub)}).owner_id == sub

    @pytest.mark.parametrize(
        "sub",
        ["", "a#b", "#", "a b", " a", "a\n", "a\u00a0b", "ä", "a\0", "a\x7f", "x" * 129, None, 1, True, ["ada"], {}],
    )
    def test_any_other_subject_is_not_valid(self, sub: Any) -> None:
        assert_unauthorized({"authorization": bearer(sub=sub)}, "The access token is not valid")

    @given(st.text())
    def test_an_owner_id_never_contains_what_separates_keys(self, sub: str) -> None:
        try:
            owner_id = authenticate({"authorization": bearer(sub=sub)}).owner_id
        except Unauthorized:
            return
        assert owner_id == sub
        assert "#" not in sub
        assert sub.isascii()
        assert sub.isprintable()
        assert " " not in sub

    def test_the_owner_is_read_from_the_configured_claim(self) -> None:
        headers = {"authorization": bearer(tenant="acme")}
        assert authenticate(headers, jwt_owner_claim="tenant").owner_id == "acme"
        assert_unauthorized({"authorization": bearer()}, "The access token is not valid", jwt_owner_claim="tenant")

    @pytest.mark.parametrize("role", ["admin", ["admin"], ["user", "admin"]])
    def test_the_admin_claim_makes_an_administrator(self, role: Any) -> None:
        assert authenticate({"authorization": bearer(role=role)}).is_admin

    @pytest.mark.parametrize(
        "role", ["Admin", "admin ", "user admin", "administrator", [["admin"]], {"admin": 1}, ["admin", 1], True, None]
    )
    def test_anything_else_in_the_admin_claim_does_not(self, role: Any) -> None:
        assert not authenticate({"authorization": bearer(role=role)}).is_admin

    def test_the_admin_claim_is_configurable(self) -> None:
        settings: dict[str, Any] = {"jwt_admin_claim": "cognito:groups", "jwt_admin_value": "staff"}
        assert authenticate({"authorization": bearer(**{"cognito:groups": ["staff"]})}, **settings).is_admin
        assert not authenticate({"authorization": bearer(role="admin")}, **settings).is_admin

    @pytest.mark.parametrize(
        ("claims", "scopes"),
        [
            ({"scope": "customers:read"}, READ),
            ({"scope": "openid customers:read customers:write profile"}, READ | WRITE),
            ({"scp": ["customers:read"]}, READ),
            ({"scp": "customers:read"}, READ),
            ({"scopes": ["customers:write", "other"]}, WRITE),
            ({"permissions": ["customers:read", "customers:write", "customers:purge"]}, SCOPES),
            ({"scope": "openid", "permissions": ["customers:read"]}, READ),
            ({"scope": ""}, frozenset()),
            ({"scope": "customers:*"}, frozenset()),
            ({"scope": "CUSTOMERS:READ"}, frozenset()),
            ({"scopes": []}, frozenset()),
            ({"scope": None}, frozenset()),
            ({"scp": [["customers:read"], 1, None, {}]}, frozenset()),
            ({"permissions": {"customers:read": True}}, frozenset()),
        ],
    )
    def test_a_scope_claim_leaves_only_what_it_names(self, claims: dict[str, Any], scopes: frozenset[str]) -> None:
        assert authenticate({"authorization": bearer(**claims)}).scopes == scopes


class TestApiKey:
    def test_a_key_names_its_owner_role_and_scopes(self) -> None:
        assert authenticate({"x-api-key": KEY}) == Caller("ada", is_admin=False, scopes=SCOPES)
        key = {"role": "admin", "scopes": READ | {"a scope of tomorrow"}}
        assert authenticate({"x-api-key": KEY}, key) == Caller("ada", is_admin=True, scopes=READ)

    @pytest.mark.parametrize("text", ["", "junk", UNKNOWN_KEY, KEY[:-1]])
    def test_junk_and_unknown_keys_are_not_valid(self, text: str) -> None:
        assert parse(UNKNOWN_KEY)
        assert_unauthorized({"x-api-key": text}, "The API key is not valid")

    @pytest.mark.parametrize("change", ["expires_at", "revoked_at"])
    def test_an_expired_or_revoked_key_answers_as_an_unknown_one(self, change: str) -> None:
        key = {change: datetime.fromtimestamp(NOW, UTC)}
        assert_unauthorized({"x-api-key": KEY}, "The API key is not valid", key=key)

    def test_where_only_keys_are_configured_no_token_holds(self) -> None:
        only_keys: dict[str, Any] = {"jwt_secret": None, "api_keys_only": True}
        assert authenticate({"x-api-key": KEY}, **only_keys)
        assert_unauthorized({"authorization": bearer()}, "The access token is not valid", **only_keys)


class TestBoth:
    def test_two_credentials_of_one_caller_leave_the_scopes_that_both_have(self) -> None:
        headers = {"authorization": bearer(scope="customers:read customers:write"), "x-api-key": KEY}
        assert authenticate(headers, {"scopes": READ | {"customers:purge"}}) == Caller(
            "ada", is_admin=False, scopes=READ
        )

    @pytest.mark.parametrize(
        ("claims", "key"), [({"sub": "eve"}, {}), ({"role": "admin"}, {}), ({}, {"role": "admin"})]
    )
    def test_two_callers_at_once_are_none(self, claims: dict[str, Any], key: dict[str, Any]) -> None:
        headers = {"authorization": bearer(**claims), "x-api-key": KEY}
        assert_unauthorized(headers, "The access token and the API key name different callers", key=key)

    @pytest.mark.parametrize("invalid", ["", "Bearer x", "Basic YTpi", bearer(exp=NOW - 999), bearer() + "x"])
    def test_an_invalid_token_is_not_rescued_by_a_key(self, invalid: str) -> None:
        with pytest.raises(Unauthorized, match="The access token"):
            authenticate({"authorization": invalid, "x-api-key": KEY})

    @pytest.mark.parametrize("invalid", ["", "junk", UNKNOWN_KEY])
    def test_an_invalid_key_is_not_rescued_by_a_token(self, invalid: str) -> None:
        assert_unauthorized({"authorization": bearer(), "x-api-key": invalid}, "The API key is not valid")


RSA = RSAKey.generate_key(2048)


class TestKeySet:
    SETTINGS = AuthSettings(jwks_url="https://issuer.example/keys", jwt_issuer="issuer", jwt_audience="customers")

    def headers(self) -> dict[str, str]:
        claims = {"sub": "ada", "exp": NOW + 60, "iss": "issuer", "aud": "customers"}
        return {"authorization": "Bearer " + jwt.encode({"alg": "RS256", "kid": "a"}, claims, RSA)}

    def test_a_token_of_the_issuer_is_believed(self) -> None:
        keys = json.dumps({"keys": [RSA.as_dict(private=False) | {"kid": "a"}]}).encode()
        asked: list[str] = []

        def fetch(url: str) -> bytes:
            asked.append(url)
            return keys

        authenticator = Authenticator(self.SETTINGS, lambda _: None, clock=lambda: NOW, fetch=fetch)
        assert authenticator.authenticate(self.headers()).owner_id == "ada"
        assert asked == ["https://issuer.example/keys"]

    def test_an_issuer_that_was_never_reached_is_503_and_not_401(self) -> None:
        def fetch(_: str) -> bytes:
            raise OSError

        with pytest.raises(Unavailable):
            Authenticator(self.SETTINGS, lambda _: None, clock=lambda: NOW, fetch=fetch).authenticate(self.headers())


class TestSettings:
    @pytest.mark.parametrize(
        "url",
        ["http://issuer.example/keys", "http://127.0.0.1.example/keys", "http://10.0.0.1/", "ftp://issuer.example"],
    )
    def test_keys_are_fetched_over_https_only(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in {"JWKS_URL": url, "JWT_ISSUER": "i", "JWT_AUDIENCE": "a"}.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SettingsError, match="JWKS_URL"):
            AuthSettings.from_env()

    @pytest.mark.parametrize(
        "url", ["http://localhost:8000/keys", "http://127.0.0.1/keys", "http://[::1]:1/", "https://issuer.example"]
    )
    def test_loopback_needs_no_https(self, url: str) -> None:
        assert AuthSettings(jwks_url=url, jwt_issuer="i", jwt_audience="a").jwks_url

    def test_a_secret_and_the_name_of_another_are_one_too_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("JWT_SECRET", SECRET)
        monkeypatch.setenv("JWT_SECRET_ARN", "arn:aws:ssm:eu-west-1:123456789012:parameter/jwt")
        with pytest.raises(SettingsError, match="JWT_SECRET or JWT_SECRET_ARN, not both"):
            AuthSettings.from_env()


@given(authorization=st.text() | st.text().map("Bearer ".__add__), api_key=st.none() | st.text())
def test_arbitrary_headers_are_unauthorized_and_nothing_else(authorization: str, api_key: str | None) -> None:
    headers = {"authorization": authorization} | ({"x-api-key": api_key} if api_key is not None else {})
    with pytest.raises(Unauthorized):
        authenticate(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": bearer(sub="mallory#1")},
        {"authorization": bearer(sub="mallory", exp=1)},
        {"authorization": bearer(sub="mallory") + "x"},
        {"x-api-key": UNKNOWN_KEY},
        {"authorization": bearer(sub="mallory"), "x-api-key": KEY},
    ],
)
def test_no_credential_and_no_claim_is_told_or_logged(
    headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(Unauthorized) as caught:
        authenticate(headers)
    assert caught.value.detail in MESSAGES
    told = f"{caught.value.detail}{caught.value.headers}{caught.value.members}{caplog.text}"
    assert not any(secret in told for secret in [*headers.values(), "mallory", SECRET])


def test_a_caller_without_asymmetric_crypto_does_not_import_it() -> None:
    headers = {"authorization": bearer(iss="i", aud="a"), "x-api-key": KEY}
    program = f"""
import sys
from customers.auth import Authenticator, StoredKey
from customers.settings import AuthSettings
key = StoredKey({KEY_ID!r}, {SECRET_HASH!r}, "ada", "owner")
settings = AuthSettings(jwt_secret={SECRET!r}, jwks_url="https://i.example", jwt_issuer="i", jwt_audience="a")
assert Authenticator(settings, lambda _: key, clock=lambda: {NOW}).authenticate({headers!r}).owner_id == "ada"
print({{"cryptography", "joserfc", "boto3"}} & set(sys.modules))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    assert run.stdout == "set()\n"
