"""The policy for JSON Web Tokens: what holds, and everything that must not."""

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from customers.auth.jwks import KeySet
from customers.auth.tokens import MAX_TOKEN_LENGTH, Tokens
from customers.errors import Unauthorized
from customers.settings import AuthSettings

NOW = 1_800_000_000
LEEWAY = 30
SECRET = b"a secret of this test, 32 bytes +"
CLAIMS = {"sub": "ada", "exp": NOW + 60}

KEYS: dict[str, Any] = {
    "rsa": RSAKey.generate_key(2048),
    "ec": ECKey.generate_key("P-256"),
    "okp": OKPKey.generate_key("Ed25519"),
}
PUBLIC = [key.as_dict(private=False) | {"kid": kid} for kid, key in KEYS.items()]


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def hs256(signed: str) -> bytes:
    return hmac.digest(SECRET, signed.encode(), "sha256")


def token(claims: Any = CLAIMS, header: Any = None, sign: Callable[[str], bytes] = hs256) -> str:
    """A token; `claims` and `header` may also be raw bytes, for JSON that no encoder writes."""
    parts = [
        part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header or {"alg": "HS256"}, claims)
    ]
    signed = ".".join(b64(part) for part in parts)
    return f"{signed}.{b64(sign(signed))}"


def signed_by(key: str, alg: str, header: Mapping[str, Any] | None = None) -> str:
    """A token truly signed by that algorithm, whatever `header` says instead."""

    def sign(signed: str) -> bytes:
        return JWSRegistry.algorithms[alg].sign(signed.encode(), KEYS[key])

    return token(header={"alg": alg, "kid": key, **(header or {})}, sign=sign)


def tokens(
    keys: list[dict[str, Any]] = PUBLIC, secret: bytes | None = SECRET, now: float = NOW, **changes: Any
) -> Tokens:
    policy = AuthSettings(api_keys_only=True, jwt_leeway_seconds=LEEWAY, **changes)
    key_set = KeySet("https://issuer.example", lambda _: json.dumps({"keys": keys}).encode(), lambda: now)
    return Tokens(policy, secret, key_set.find, lambda: now)


def assert_refused(text: str, checker: Tokens | None = None) -> None:
    with pytest.raises(Unauthorized) as caught:
        (checker or tokens()).claims(text)
    assert caught.value.detail == "The access token is not valid"
    assert 'error="invalid_token"' in caught.value.headers["WWW-Authenticate"]


@pytest.mark.parametrize("header", [{}, {"typ": "JWT"}, {"typ": "at+jwt"}, {"typ": "AT+JWT"}, {"kid": "ignored"}])
def test_a_token_signed_with_the_secret_yields_its_claims(header: dict[str, str]) -> None:
    assert tokens().claims(token(header={"alg": "HS256"} | header)) == CLAIMS


@pytest.mark.parametrize(("kid", "alg"), [("rsa", "RS256"), ("ec", "ES256"), ("okp", "EdDSA"), ("okp", "Ed25519")])
def test_a_token_signed_with_a_key_of_the_set_yields_its_claims(kid: str, alg: str) -> None:
    assert tokens().claims(signed_by(kid, alg)) == CLAIMS


def test_the_example_of_rfc_7515_appendix_a_1_holds_until_it_expires() -> None:
    key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
    text = (
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
        ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
        ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    )
    secret = base64.urlsafe_b64decode(key + "==")
    assert tokens(secret=secret, now=1_300_819_379).claims(text)["iss"] == "joe"
    with pytest.raises(Unauthorized, match="expired"):
        tokens(secret=secret, now=1_300_819_380 + LEEWAY).claims(text)


def test_the_example_of_rfc_7515_appendix_a_3_holds() -> None:
    key = {
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }
    text = (
        "eyJhbGciOiJFUzI1NiJ9"
        ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
        ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    )
    assert tokens([key], now=1_300_819_379).claims(text)["iss"] == "joe"


class TestAlgorithms:
    @pytest.mark.parametrize(
        "alg", ["none", "None", "NONE", "nOnE", "", None, 0, ["HS256"], "hs256", "HS256 ", "HS512", "PS256"]
    )
    @pytest.mark.parametrize("sign", [hs256, lambda _: b""], ids=["signed", "unsigned"])
    def test_any_other_algorithm_is_refused(self, alg: Any, sign: Callable[[str], bytes]) -> None:
        assert_refused(token(header={"alg": alg}, sign=sign))

    def test_a_header_without_an_algorithm_is_refused(self) -> None:
        assert_refused(token(header={"typ": "JWT"}))

    @pytest.mark.parametrize(
        "encode", [lambda key: key.as_pem(private=False), lambda key: key.as_dict(private=False)["n"].encode()]
    )
    def test_a_public_key_is_never_a_secret(self, encode: Callable[[RSAKey], bytes]) -> None:
        secret = encode(KEYS["rsa"])
        forged = token(
            header={"alg": "HS256", "kid": "rsa"}, sign=lambda signed: hmac.digest(secret, signed.encode(), "sha256")
        )
        assert_refused(forged)
        assert_refused(forged, tokens(secret=None))

    def test_a_symmetric_key_in_the_set_is_never_used(self) -> None:
        octet = OctKey.import_key(SECRET).as_dict() | {"kid": "oct", "alg": "HS256"}
        assert_refused(token(header={"alg": "HS256", "kid": "oct"}), tokens([octet], secret=None))

    @pytest.mark.parametrize(
        ("kid", "alg"), [("rsa", "ES256"), ("ec", "RS256"), ("okp", "RS256"), ("rsa", "EdDSA"), ("rsa", "HS256")]
    )
    def test_a_key_checks_no_other_algorithm_than_its_own(self, kid: str, alg: str) -> None:
        own = {"rsa": "RS256", "ec": "ES256", "okp": "EdDSA"}[kid]
        assert_refused(signed_by(kid, own, {"alg": alg}))

    def test_an_asymmetric_token_is_refused_where_only_a_secret_is_configured(self) -> None:
        checker = Tokens(AuthSettings(api_keys_only=True), SECRET, None, lambda: NOW)
        assert_refused(signed_by("rsa", "RS256"), checker)

    def test_a_key_that_the_token_brings_along_is_not_looked_at(self) -> None:
        attacker = OKPKey.generate_key("Ed25519")

        def sign(signed: str) -> bytes:
            return JWSRegistry.algorithms["EdDSA"].sign(signed.encode(), attacker)

        mine = {
            "jwk": attacker.as_dict(private=False),
            "jku": "https://attacker.example",
            "x5u": "https://attacker.example",
        }
        assert_refused(token(header={"alg": "EdDSA", "kid": "okp", "x5c": ["MII"]} | mine, sign=sign))
        assert_refused(token(header={"alg": "EdDSA"} | mine, sign=sign))
        assert tokens().claims(signed_by("okp", "EdDSA", mine)) == CLAIMS

    @pytest.mark.parametrize("signature", [b"", b"\0" * 64, b"\xff" * 64, b"\0" * 63, b"\0" * 256])
    @pytest.mark.parametrize(("kid", "alg"), [("rsa", "RS256"), ("ec", "ES256"), ("okp", "EdDSA")])
    def test_a_made_up_signature_is_refused(self, kid: str, alg: str, signature: bytes) -> None:
        assert_refused(token(header={"alg": alg, "kid": kid}, sign=lambda _: signature))


class TestHeaders:
    @pytest.mark.parametrize("crit", [["exp"], ["b64"], [], None])
    def test_a_critical_extension_is_refused(self, crit: Any) -> None:
        assert_refused(token(header={"alg": "HS256", "b64": True, "exp": 1, "crit": crit}))

    @pytest.mark.parametrize("typ", ["JWE", "secevent+jwt", "", None, 1, ["JWT"]])
    def test_another_type_of_token_is_refused(self, typ: Any) -> None:
        assert_refused(token(header={"alg": "HS256", "typ": typ}))

    @pytest.mark.parametrize("kid", [1, ["rsa"], {"rsa": 1}, True])
    def test_a_key_id_that_is_no_string_is_refused(self, kid: Any) -> None:
        assert_refused(signed_by("rsa", "RS256", {"kid": kid}))


class TestEncoding:
    @pytest.mark.parametrize("text", ["", ".", "..", "...", "a.b.c", "\ud800.\ud800.\ud800", "ä.ö.ü", "e30.e30.e30"])
    def test_junk_is_refused(self, text: str) -> None:
        assert_refused(text)

    @pytest.mark.parametrize(
        "form",
        [
            "{h}.{p}",
            "{h}.{p}.",
            "{h}..{s}",
            "{h}.{p}.{s}.",
            "{h}.{p}.{s}.{s}.{s}",
            "{h}.{p}.{s}=",
            "{h}==.{p}.{s}",
            " {h}.{p}.{s}",
            "{h}.{p}.{s} ",
            "{h}.{p}.{s}\n",
            "{h}.\n{p}.{s}",
            "{h}.{p}.!{s}",
            "{h},{p},{s}",
            "{h}.{p}.{s},{h}.{p}.{s}",
            '{{"protected":"{h}","payload":"{p}","signature":"{s}"}}',
            '{{"payload":"{p}","signatures":[{{"protected":"{h}","signature":"{s}"}}]}}',
        ],
    )
    def test_only_the_compact_form_is_read(self, form: str) -> None:
        header, payload, signature = token().split(".")
        assert_refused(form.format(h=header, p=payload, s=signature))

    def test_a_second_spelling_of_the_same_signature_is_refused(self) -> None:
        text = token()
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        same_bytes = alphabet[alphabet.index(text[-1]) ^ 1]  # 32 bytes leave two bits of the last character unused
        assert base64.urlsafe_b64decode(text[-3:] + "=") == base64.urlsafe_b64decode(text[-3:-1] + same_bytes + "=")
        assert_refused(text[:-1] + same_bytes)

    def test_the_alphabet_of_plain_base64_is_refused(self) -> None:
        claims = CLAIMS | {"n": "\u00ff\u00fe\u00fb\u00ef~~~???>>>"}
        header, payload, _ = token(json.dumps(claims, ensure_ascii=False).encode()).split(".")
        plain = payload.replace("-", "+").replace("_", "/")
        assert plain != payload
        assert_refused(f"{header}.{plain}.{b64(hs256(f'{header}.{plain}'))}")

    def test_a_token_above_the_size_limit_is_refused(self) -> None:
        def padded(length: int) -> str:
            return token(CLAIMS | {"pad": "x" * length})

        longest = max(length for length in range(5_900, 6_200) if len(padded(length)) <= MAX_TOKEN_LENGTH)
        assert tokens().claims(padded(longest))
        assert_refused(padded(longest + 1))

    @pytest.mark.parametrize(
        "claims",
        [
            b"",
            b"null",
            b"[]",
            b'"sub"',
            b'{"sub":"ada","exp":1800000060',
            b'{"sub":"ada","exp":1800000060} {}',
            b'{"sub":"ada","exp":1800000060,}',
            b'{"sub":"ada","exp":1800000060,"sub":"eve"}',
            b'{"sub":"ada","exp":1800000060,"a":{"b":1,"b":2}}',
            b'{"sub":"ada","exp":1800000060,"a":NaN}',
            b'{"sub":"ada","exp":1800000060,"a":-Infinity}',
            b'{"sub":"ada","exp":1800000060,"a":' + b"9" * 5_000 + b"}",
            b"\xef\xbb\xbf" + b'{"sub":"ada","exp":1800000060}',
            '{"sub":"ada","exp":1800000060}'.encode("utf-16"),
            b'{"sub":"\xff","exp":1800000060}',
            b'{"a":' * 1_100,
        ],
    )
    def test_claims_that_are_not_one_plain_json_object_are_refused(self, claims: bytes) -> None:
        assert_refused(token(claims))

    @pytest.mark.parametrize("header", [b'{"alg":"none","alg":"HS256"}', b'["alg","HS256"]', b"[" * 5_000, b"HS256"])
    def test_a_header_that_is_not_one_plain_json_object_is_refused(self, header: bytes) -> None:
        assert_refused(token(header=header))

    def test_deep_nesting_does_no_harm(self) -> None:
        nested = b"[" * 2_900 + b"]" * 2_900
        assert tokens().claims(token(b'{"sub":"ada","exp":1800000060,"a":%s}' % nested))["sub"] == "ada"


class TestClaims:
    @pytest.mark.parametrize("exp", [None, True, False, "1800000060", [NOW + 60], {}, -1])
    def test_an_expiry_that_is_no_time_is_refused(self, exp: Any) -> None:
        with pytest.raises(Unauthorized):
            tokens().claims(token({"sub": "ada", "exp": exp}))

    @pytest.mark.parametrize("number", [b"1e400", b"-1e400", b"NaN", b"Infinity"])
    @pytest.mark.parametrize("claim", [b"exp", b"nbf", b"iat"])
    def test_a_time_that_is_not_finite_is_refused(self, claim: bytes, number: bytes) -> None:
        times = {b"exp": b"1800000060", claim: number}
        assert_refused(token(b"{%s}" % b",".join(b'"%s":%s' % each for each in times.items())))

    def test_a_token_without_an_expiry_is_refused(self) -> None:
        assert_refused(token({"sub": "ada"}))

    @pytest.mark.parametrize("exp", [NOW - LEEWAY + 1, NOW + 0.5, 10**400])
    def test_a_token_holds_until_its_expiry_and_the_leeway(self, exp: float) -> None:
        assert tokens().claims(token({"sub": "ada", "exp": exp}))

    @pytest.mark.parametrize("exp", [NOW - LEEWAY, NOW - LEEWAY - 0.5, 0])
    def test_an_expired_token_is_refused_with_a_message_that_says_so(self, exp: float) -> None:
        with pytest.raises(Unauthorized, match="has expired"):
            tokens().claims(token({"sub": "ada", "exp": exp}))

    def test_an_expired_token_with_a_wrong_signature_is_not_said_to_be_expired(self) -> None:
        assert_refused(token({"sub": "ada", "exp": 0}, sign=lambda _: b"\0" * 32))

    @pytest.mark.parametrize("claim", ["nbf", "iat"])
    def test_a_token_from_the_future_is_refused(self, claim: str) -> None:
        assert tokens().claims(token(CLAIMS | {claim: NOW + LEEWAY}))
        assert_refused(token(CLAIMS | {claim: NOW + LEEWAY + 1}))

    @pytest.mark.parametrize("claim", ["nbf", "iat"])
    @pytest.mark.parametrize("value", [None, True, "1700000000", [], 10**400])
    def test_a_start_that_is_no_time_is_refused(self, claim: str, value: Any) -> None:
        assert_refused(token(CLAIMS | {claim: value}))

    @pytest.mark.parametrize("iss", ["https://other", "https://issuer/", ["https://issuer"], None, 1])
    def test_another_issuer_is_refused(self, iss: Any) -> None:
        checker = tokens(jwt_issuer="https://issuer")
        assert checker.claims(token(CLAIMS | {"iss": "https://issuer"}))
        assert_refused(token(CLAIMS | {"iss": iss}), checker)
        assert_refused(token(), checker)

    @pytest.mark.parametrize("aud", ["customers", ["customers"], ["other", "customers"]])
    def test_a_token_meant_for_us_holds(self, aud: Any) -> None:
        assert tokens(jwt_audience="customers").claims(token(CLAIMS | {"aud": aud}))

    @pytest.mark.parametrize(
        "aud", ["other", "customers2", "a customers", [], [["customers"]], ["customers", 1], {"customers": 1}, None, 1]
    )
    def test_a_token_meant_for_another_audience_is_refused(self, aud: Any) -> None:
        assert_refused(token(CLAIMS | {"aud": aud}), tokens(jwt_audience="customers"))
        assert_refused(token(), tokens(jwt_audience="customers"))


VALID = {"HS256": token(), "EdDSA": signed_by("okp", "EdDSA"), "RS256": signed_by("rsa", "RS256")}


@settings(max_examples=400, deadline=None)
@given(text=st.sampled_from(list(VALID.values())), data=st.data())
def test_a_token_with_any_change_never_authenticates(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 3)))
    change = data.draw(st.text("ABCabc019-_=.+/ \n\0ä", max_size=3))
    mutated = text[:start] + change + text[end:]
    assume(mutated != text)
    assert_refused(mutated)


@settings(max_examples=200, deadline=None)
@given(parts=st.tuples(*[st.sampled_from([part for each in VALID.values() for part in each.split(".")])] * 3))
def test_parts_of_several_tokens_never_make_another(parts: tuple[str, str, str]) -> None:
    text = ".".join(parts)
    assume(text not in VALID.values())
    assert_refused(text)


SCALARS = (
    st.none() | st.booleans() | st.integers(NOW - 99, NOW + 99) | st.integers() | st.floats() | st.text(max_size=9)
)


@settings(max_examples=300, deadline=None)
@given(
    st.fixed_dictionaries(
        {"exp": st.just(NOW + 60) | SCALARS},
        optional={name: SCALARS | st.lists(SCALARS | st.just("customers")) for name in ("nbf", "iat", "aud", "iss")},
    )
)
def test_a_signed_token_with_any_claims_is_taken_or_refused_and_nothing_else(claims: dict[str, Any]) -> None:
    try:
        tokens().claims(token(claims))
    except Unauthorized:
        return
    assert claims["exp"] > NOW - LEEWAY
    assert max(claims.get("nbf", 0), claims.get("iat", 0)) <= NOW + LEEWAY
