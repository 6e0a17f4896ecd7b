"""`make api-key`: a key is shown once, believed by the functions as long as it holds, rotated, revoked and listed."""

import hashlib
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from customers.auth import SCOPES, StoredKey
from customers.dynamodb import Table
from tests.handlers import Answer, Api
from tools import api_key
from tools.stack import Stack, StackError

WANTED = StoredKey(key_id="", secret_hash="", owner_id="ada", role="owner", name="the CRM")
UNKNOWN = "Eve0Stranger"
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)

type Use = Callable[..., Answer]


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


@pytest.fixture
def use(api: Api, monkeypatch: pytest.MonkeyPatch) -> Use:
    """One request whose only credential is a key, `later` than now."""

    def call(key: str, operation: str = "list_customers", later: timedelta = timedelta(), **request: Any) -> Answer:
        service = api.app(operation).service
        monkeypatch.setattr(service._authenticator, "_clock", lambda: time.time() + later.total_seconds())
        return api.call(operation, headers={"authorization": None, "x-api-key": key}, **request)

    return call


@pytest.fixture
def command(table: Table, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    monkeypatch.setattr("tools.stack.chosen", lambda _: Stack({}, {"TableName": table.name}))

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["make api-key", *arguments])
        capsys.readouterr()
        return Done(api_key.main(), *capsys.readouterr())

    return run


def id_of(key: str) -> str:
    return key.split("_")[1]


def ids(found: list[str]) -> set[str]:
    return {id_of(key) for key in found}


class TestCreate:
    def test_a_new_key_is_believed_for_its_owners_customers(self, api: Api, table: Table, use: Use) -> None:
        api.create("C-1", owner="ada")
        api.create("C-2", owner="bob")
        answer = use(api_key.create(table, WANTED))
        assert (answer.status, [each["customer_id"] for each in answer.body["data"]]) == (200, ["C-1"])

    def test_the_table_holds_the_secrets_hash_and_never_the_secret(self, table: Table, dynamodb: Any) -> None:
        secret = api_key.create(table, WANTED).split("_")[2][:43]
        stored = str(dynamodb.scan(TableName=table.name)["Items"])
        assert secret not in stored
        assert hashlib.sha256(secret.encode()).hexdigest() in stored

    def test_a_key_may_do_what_its_scopes_say_and_no_more(self, table: Table, use: Use) -> None:
        key = api_key.create(table, replace(WANTED, scopes=frozenset({"customers:read"})))
        assert use(key).status == 200
        assert use(key, "create_customer", body={"customer_id": "C-1"}).status == 403

    def test_an_administrators_key_reaches_everybodys_customers(self, api: Api, table: Table, use: Use) -> None:
        api.create("C-1", owner="bob")
        answer = use(api_key.create(table, replace(WANTED, role="admin")))
        assert [(each["customer_id"], each["owner_id"]) for each in answer.body["data"]] == [("C-1", "bob")]

    def test_a_key_holds_until_it_expires(self, table: Table, use: Use) -> None:
        key = api_key.create(table, replace(WANTED, expires_at=datetime.now(UTC) + HOUR))
        assert [use(key, later=HOUR - 5 * SECOND).status, use(key, later=HOUR).status] == [200, 401]

    def test_a_key_like_a_revoked_one_has_an_id_and_a_life_of_its_own(self, table: Table, use: Use) -> None:
        long_ago = datetime(2020, 1, 1, tzinfo=UTC)
        key = api_key.create(table, replace(WANTED, key_id=UNKNOWN, created_at=long_ago, revoked_at=long_ago))
        assert use(key).status == 200
        assert id_of(key) != UNKNOWN
        assert api_key.find(table, id_of(key)).created_at > long_ago


class TestRotate:
    def test_the_new_key_has_the_rights_of_the_old_one(self, table: Table, use: Use) -> None:
        wanted = replace(WANTED, role="admin", scopes=frozenset({"customers:read"}))
        old = api_key.create(table, wanted)
        new = api_key.rotate(table, id_of(old), grace=HOUR)
        assert use(new).status == 200
        stored = api_key.find(table, id_of(new))
        assert wanted == replace(stored, key_id="", secret_hash="", created_at=wanted.created_at)

    def test_the_old_key_works_until_its_grace_ends(self, table: Table, use: Use) -> None:
        old = api_key.create(table, WANTED)
        new = api_key.rotate(table, id_of(old), grace=HOUR)
        assert [use(old, later=HOUR - 5 * SECOND).status, use(old, later=HOUR).status] == [200, 401]
        assert use(new, later=HOUR).status == 200

    @pytest.mark.parametrize("grace", [timedelta(), -HOUR])
    def test_without_grace_the_old_key_is_refused_at_once(self, table: Table, use: Use, grace: timedelta) -> None:
        old = api_key.create(table, WANTED)
        new = api_key.rotate(table, id_of(old), grace=grace)
        assert [use(old).status, use(new).status] == [401, 200]

    def test_the_grace_never_extends_the_old_keys_expiry(self, table: Table) -> None:
        old = api_key.create(table, replace(WANTED, expires_at=datetime.now(UTC) + HOUR))
        expires_at = api_key.find(table, id_of(old)).expires_at
        api_key.rotate(table, id_of(old), grace=24 * HOUR)
        assert api_key.find(table, id_of(old)).expires_at == expires_at

    def test_the_new_key_has_the_old_ones_lifetime_anew(self, table: Table) -> None:
        limited = api_key.create(table, replace(WANTED, expires_at=datetime.now(UTC) + 48 * HOUR))
        new = api_key.find(table, id_of(api_key.rotate(table, id_of(limited), grace=HOUR)))
        assert new.expires_at
        assert abs(new.expires_at - new.created_at - 48 * HOUR) < SECOND
        unlimited = api_key.create(table, WANTED)
        assert api_key.find(table, id_of(api_key.rotate(table, id_of(unlimited), grace=HOUR))).expires_at is None

    def test_a_key_is_rotated_once_so_that_at_most_two_are_active(self, table: Table) -> None:
        old = api_key.create(table, WANTED)
        new = api_key.rotate(table, id_of(old), grace=HOUR)
        with pytest.raises(api_key.KeyProblem, match=f"rotated before; its successor is {id_of(new)}"):
            api_key.rotate(table, id_of(old), grace=HOUR)
        assert len(list(api_key.list_keys(table, "ada"))) == 2

    def test_a_key_that_is_revoked_while_it_is_rotated_has_no_successor(
        self, table: Table, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old = api_key.create(table, WANTED)
        before = api_key.find(table, id_of(old))
        api_key.revoke(table, id_of(old))
        monkeypatch.setattr(api_key, "find", lambda *_: before)
        with pytest.raises(api_key.KeyProblem, match="has just been rotated or revoked"):
            api_key.rotate(table, id_of(old), grace=HOUR)
        assert len(list(api_key.list_keys(table, "ada"))) == 1

    def test_rotation_does_not_bring_a_revoked_key_back(self, table: Table) -> None:
        old = api_key.create(table, WANTED)
        api_key.revoke(table, id_of(old))
        with pytest.raises(api_key.KeyProblem, match="is revoked or has expired"):
            api_key.rotate(table, id_of(old), grace=HOUR)
        assert len(list(api_key.list_keys(table, None))) == 1


class TestRevoke:
    def test_a_revoked_key_is_refused_at_once_and_no_other_is(self, table: Table, use: Use) -> None:
        revoked, other = api_key.create(table, WANTED), api_key.create(table, WANTED)
        api_key.revoke(table, id_of(revoked))
        assert [use(revoked).status, use(other).status] == [401, 200]

    def test_an_unknown_key_is_an_error_and_nothing_is_written(self, table: Table, dynamodb: Any) -> None:
        with pytest.raises(api_key.KeyProblem, match=f"There is no API key {UNKNOWN}"):
            api_key.revoke(table, UNKNOWN)
        with pytest.raises(api_key.KeyProblem, match=f"There is no API key {UNKNOWN}"):
            api_key.rotate(table, UNKNOWN, grace=HOUR)
        assert not dynamodb.scan(TableName=table.name)["Items"]


class TestList:
    def test_the_keys_of_one_owner_or_of_all_are_listed(self, api: Api, table: Table) -> None:
        api.create("C-1", owner="without-a-key")
        own = [api_key.create(table, WANTED) for _ in range(2)]
        others = [api_key.create(table, replace(WANTED, owner_id="ad"))]
        assert {key.key_id for key in api_key.list_keys(table, "ada")} == ids(own)
        assert {key.key_id for key in api_key.list_keys(table, None)} == ids(own + others)

    def test_more_keys_than_one_request_takes_are_listed(self, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(api_key, "BATCH_GET_ITEMS", 2)
        made = [api_key.create(table, WANTED) for _ in range(5)]
        assert sorted(key.key_id for key in api_key.list_keys(table, "ada")) == sorted(ids(made))

    def test_what_is_shown_tells_neither_secrets_nor_hashes(
        self, table: Table, capsys: pytest.CaptureFixture[str]
    ) -> None:
        key = api_key.create(table, WANTED)
        stored = api_key.find(table, id_of(key))
        api_key.show([stored])
        shown = capsys.readouterr().out
        assert {id_of(key), "ada", "all", "CRM", "never", "active"} <= set(shown.split())
        assert key.split("_")[2][:12] not in shown
        assert stored.secret_hash[:12] not in shown

    def test_the_state_of_each_key_is_shown(self, capsys: pytest.CaptureFixture[str]) -> None:
        past = datetime.now(UTC) - HOUR
        api_key.show([WANTED, replace(WANTED, expires_at=past), replace(WANTED, expires_at=past, revoked_at=past)])
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[-1] for line in lines if "ada" in line] == ["active", "expired", "revoked"]

    @pytest.mark.parametrize("text", ["[red]", "[/red]", "team:a:1"])
    def test_names_and_owners_are_shown_as_they_are(self, text: str, capsys: pytest.CaptureFixture[str]) -> None:
        api_key.show([replace(WANTED, owner_id=text, name=text)])
        assert capsys.readouterr().out.count(text) == 2

    def test_a_narrow_terminal_shows_whole_key_ids(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        api_key.show([replace(WANTED, key_id=UNKNOWN)])
        assert UNKNOWN in capsys.readouterr().out


class TestCommand:
    def test_create_prints_the_key_and_nothing_else(self, command: Callable[..., Done], use: Use) -> None:
        done = command("create", "--owner", "ada")
        assert (done.code, done.err, len(done.out.split())) == (0, "", 1)
        assert use(done.out.removesuffix("\n")).status == 200

    def test_create_makes_an_owners_key_that_may_do_everything_for_ever(
        self, command: Callable[..., Done], table: Table
    ) -> None:
        stored = api_key.find(table, id_of(command("create", "--owner", "ada").out))
        assert (stored.owner_id, stored.role, stored.scopes) == ("ada", "owner", SCOPES)
        assert (stored.expires_at, stored.name) == (None, None)

    def test_create_takes_role_scopes_name_and_days(self, command: Callable[..., Done], table: Table) -> None:
        rights = ("--admin", "--scopes", "customers:read", "customers:write")
        done = command("create", "--owner", "ada", *rights, "--name", "the CRM", "--days", "0.5")
        stored = api_key.find(table, id_of(done.out))
        assert (stored.role, stored.name) == ("admin", "the CRM")
        assert stored.scopes == frozenset({"customers:read", "customers:write"})
        assert stored.expires_at
        assert abs(stored.expires_at - stored.created_at - 12 * HOUR) < HOUR

    @pytest.mark.parametrize("owner", ["", "a#b", "a b", "é", "x" * 129])
    def test_create_refuses_what_is_no_owner_id(
        self, command: Callable[..., Done], dynamodb: Any, capsys: pytest.CaptureFixture[str], owner: str
    ) -> None:
        with pytest.raises(SystemExit, match="2"):
            command("create", "--owner", owner)
        assert "an owner has 1 to 128 visible ASCII characters, and no #" in capsys.readouterr().err
        assert not dynamodb.scan(TableName="customers")["Items"]

    def test_create_refuses_an_unknown_scope(
        self, command: Callable[..., Done], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit, match="2"):
            command("create", "--owner", "ada", "--scopes", "customers:everything")
        assert "customers:everything" in capsys.readouterr().err

    def test_rotate_prints_the_new_key_and_beside_stdout_how_long_both_work(
        self, command: Callable[..., Done], table: Table, use: Use
    ) -> None:
        old = api_key.create(table, WANTED)
        done = command("rotate", id_of(old))
        assert (done.code, len(done.out.split())) == (0, 1)
        assert re.fullmatch(f"{id_of(old)} works until .* UTC; the new key does not expire\n", done.err)
        assert use(done.out.removesuffix("\n")).status == 200
        assert [use(old, later=later * HOUR).status for later in (23, 24)] == [200, 401]

    def test_rotate_takes_the_hours_of_grace(self, command: Callable[..., Done], table: Table, use: Use) -> None:
        old = api_key.create(table, WANTED)
        command("rotate", id_of(old), "--grace-hours", "0")
        assert use(old).status == 401

    @pytest.mark.parametrize("days", ["0", "-1", "nan", "inf", "1e9", "soon"])
    def test_create_refuses_days_that_are_none(self, command: Callable[..., Done], dynamodb: Any, days: str) -> None:
        with pytest.raises(SystemExit, match="2"):
            command("create", "--owner", "ada", "--days", days)
        assert not dynamodb.scan(TableName="customers")["Items"]

    @pytest.mark.parametrize("name", ["rotate", "revoke"])
    def test_a_key_may_be_named_by_its_text(self, command: Callable[..., Done], table: Table, name: str) -> None:
        key = api_key.create(table, WANTED)
        done = command(name, key)
        assert done.code == 0
        assert id_of(key) in done.err

    @pytest.mark.parametrize("name", ["rotate", "revoke"])
    def test_half_a_key_is_not_shown_again(self, command: Callable[..., Done], table: Table, name: str) -> None:
        key = api_key.create(table, WANTED)
        done = command(name, key[:-1])
        assert (done.code, done.out) == (1, "")
        assert "neither a whole API key nor a key's id" in done.err
        assert key[20:-1] not in done.err

    def test_revoke_says_so_beside_stdout(self, command: Callable[..., Done], table: Table, use: Use) -> None:
        key = api_key.create(table, WANTED)
        assert command("revoke", id_of(key)) == Done(0, "", f"{id_of(key)} is revoked\n")
        assert use(key).status == 401

    def test_list_shows_all_owners_keys_or_one_owners(self, command: Callable[..., Done], table: Table) -> None:
        own, other = (id_of(api_key.create(table, replace(WANTED, owner_id=owner))) for owner in ("ada", "bob"))
        everybodys, bobs = command("list"), command("list", "--owner", "bob")
        assert (everybodys.code, bobs.code) == (0, 0)
        assert [key in everybodys.out for key in (own, other)] == [True, True]
        assert [key in bobs.out for key in (own, other)] == [False, True]

    def test_list_is_no_error_when_there_is_no_key(self, command: Callable[..., Done]) -> None:
        assert command("list").code == 0

    @pytest.mark.parametrize("name", ["rotate", "revoke"])
    def test_an_unknown_key_is_a_sentence_and_exit_code_1(self, command: Callable[..., Done], name: str) -> None:
        assert command(name, UNKNOWN) == Done(1, "", f"There is no API key {UNKNOWN}\n")

    def test_a_stack_that_cannot_be_used_is_a_sentence_and_exit_code_1(
        self, command: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def chosen(name: str | None) -> Stack:
            raise StackError(f"The stack {name} cannot be read")

        monkeypatch.setattr("tools.stack.chosen", chosen)
        assert command("--stack", "prod", "list") == Done(1, "", "The stack prod cannot be read\n")
