"""API keys: their text, what is stored of them, and when they hold."""

import hashlib
import hmac
import re
import string
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from customers.auth import SCOPES, StoredKey
from customers.auth.api_keys import hash_secret, mint, parse, verify

NOW = datetime(2027, 1, 31, 9, 30, tzinfo=UTC)
KEY_ID, SECRET = "Ada0Lovelace", "NotASecretButTheExampleOfTheTests0123456789"
SECRET_HASH = "4955da37a38698583dd334377880a8daf2bf93de83a46793d771964562bdf100"
TEXT = f"cust_{KEY_ID}_{SECRET}1KzhoB"


def stored(**changes: Any) -> StoredKey:
    return StoredKey(**{"key_id": KEY_ID, "secret_hash": SECRET_HASH, "owner_id": "ada", "role": "owner"} | changes)


class TestText:
    def test_a_key_issued_once_is_read_the_same_for_ever(self) -> None:
        assert parse(TEXT) == (KEY_ID, SECRET)
        assert hash_secret(SECRET) == hashlib.sha256(SECRET.encode()).hexdigest() == SECRET_HASH

    def test_a_minted_key_is_its_key_id_a_secret_and_a_checksum(self) -> None:
        text, key_id, secret_hash = mint()
        assert re.fullmatch(rf"cust_{key_id}_[0-9A-Za-z]{{49}}", text)
        assert len(key_id) == 12
        assert verify(text, {key_id: stored(key_id=key_id, secret_hash=secret_hash)}.get, NOW)

    def test_no_two_minted_keys_are_alike(self) -> None:
        minted = [mint() for _ in range(200)]
        for part in zip(*minted, strict=True):
            assert len(set(part)) == 200

    def test_43_digits_of_base_62_hold_every_secret_of_256_bits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for bits in (0, 2**256 - 1):
            monkeypatch.setattr("secrets.randbits", lambda _, bits=bits: bits)
            assert parse(mint()[0]) is not None
        assert 62**43 > 2**256 > 62**42

    @pytest.mark.parametrize(
        "junk",
        [
            "",
            "cust_",
            "cust__",
            TEXT[:-1],
            TEXT + "0",
            TEXT + "\n",
            " " + TEXT,
            TEXT * 2,
            TEXT.replace("cust", "Cust"),
            TEXT.removeprefix("cust_"),
            TEXT.replace("_", "-"),
            TEXT[:-6] + "000000",
            "cust_" + "ä" * 12 + TEXT[17:],
            "\ud800",
            "x" * 100_000,
        ],
    )
    def test_junk_never_reaches_the_table(self, junk: str) -> None:
        def find_key(_: str) -> StoredKey | None:
            raise AssertionError

        assert verify(junk, find_key, NOW) is None

    @given(at=st.integers(0, len(TEXT) - 1), character=st.sampled_from(string.ascii_letters + string.digits + "_-"))
    def test_a_key_with_one_character_mistyped_never_reaches_the_table(self, at: int, character: str) -> None:
        assume(TEXT[at] != character)
        assert parse(TEXT[:at] + character + TEXT[at + 1 :]) is None

    @given(st.text())
    def test_any_text_is_parsed_without_an_error(self, text: str) -> None:
        assert parse(text) is None


class TestVerification:
    def test_the_right_secret_proves_its_key(self) -> None:
        key = stored()
        assert verify(TEXT, {KEY_ID: key}.get, NOW) is key

    def test_another_secret_under_a_known_id_proves_nothing(self) -> None:
        other = stored(secret_hash=mint()[2])
        assert verify(TEXT, lambda _: other, NOW) is None

    @pytest.mark.parametrize("hashed", ["", "0" * 64, SECRET_HASH.upper(), SECRET_HASH[:-1], TEXT])
    def test_a_damaged_hash_proves_nothing(self, hashed: str) -> None:
        assert verify(TEXT, lambda _: stored(secret_hash=hashed), NOW) is None

    def test_unknown_and_known_ids_are_compared_alike(self, monkeypatch: pytest.MonkeyPatch) -> None:
        compared: list[int] = []

        def compare(a: str, b: str) -> bool:
            compared.append(len(a) + len(b))
            return a == b

        monkeypatch.setattr(hmac, "compare_digest", compare)
        assert verify(TEXT, lambda _: None, NOW) is None
        assert verify(TEXT, lambda _: stored(secret_hash="1" * 64), NOW) is None
        assert verify(TEXT, lambda _: stored(revoked_at=NOW), NOW) is None
        assert verify(TEXT, lambda _: stored(), NOW)
        assert compared == [128] * 4

    @pytest.mark.parametrize("field", ["expires_at", "revoked_at"])
    def test_a_key_holds_until_it_expires_or_is_revoked(self, field: str) -> None:
        key = stored(**{field: NOW})
        assert verify(TEXT, lambda _: key, NOW - timedelta(seconds=1))
        assert verify(TEXT, lambda _: key, NOW) is None
        assert verify(TEXT, lambda _: key, NOW + timedelta(days=1)) is None


class TestStored:
    def test_a_key_is_stored_and_read_back_unchanged(self) -> None:
        key = stored(
            role="admin",
            scopes=frozenset({"customers:read"}),
            expires_at=NOW,
            revoked_at=NOW + timedelta(microseconds=1),
            name="nightly export",
        )
        assert StoredKey.from_item(key.to_item()) == key
        assert StoredKey.from_item(stored().to_item()).scopes == SCOPES

    def test_an_item_holds_plain_attributes_and_no_absent_ones(self) -> None:
        berlin = timezone(timedelta(hours=1))
        key = stored(expires_at=NOW.astimezone(berlin), created_at=NOW, scopes=frozenset({"b", "a"}))
        assert key.to_item() == {
            "key_id": KEY_ID,
            "secret_hash": SECRET_HASH,
            "owner_id": "ada",
            "role": "owner",
            "scopes": ["a", "b"],
            "expires_at": "2027-01-31T09:30:00.000000Z",
            "created_at": "2027-01-31T09:30:00.000000Z",
        }

    def test_an_item_with_its_keys_and_empty_attributes_is_read(self) -> None:
        item = stored().to_item() | {"pk": "APIKEY#x", "sk": "#APIKEY", "expires_at": None, "name": None}
        assert StoredKey.from_item(item).expires_at is None

    def test_the_secret_and_its_hash_are_in_no_representation(self) -> None:
        assert SECRET_HASH not in repr(stored())

    @pytest.mark.parametrize("owner_id", ["", "a#b", "a b", "ä", "a\n", "x" * 129, None, 1])
    def test_an_owner_id_that_could_not_be_part_of_a_key_is_refused(self, owner_id: Any) -> None:
        with pytest.raises(ValueError, match="owner id"):
            stored(owner_id=owner_id)

    @pytest.mark.parametrize("role", ["", "Admin", "root", None])
    def test_an_unknown_role_is_refused(self, role: Any) -> None:
        with pytest.raises(ValueError, match="role"):
            StoredKey.from_item(stored().to_item() | {"role": role})
