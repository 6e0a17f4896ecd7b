"""POST /customers/import: a file of few rows is read, applied and answered at once."""

import json
from typing import Any
from unittest.mock import patch

import pytest

from customers import keys
from customers.dynamodb import Table
from customers.errors import Unavailable
from customers.importing import batches
from tests.corpus import xlsx
from tests.handlers import BOUNDARY, Answer, Api, Context, multipart

COUNTS = ("total", "created", "updated", "unchanged", "skipped")


def counts(answer: Answer) -> dict[str, int]:
    """The counts that are not 0."""
    assert answer.status == 200, answer.body
    assert answer.body["total"] == answer.body["created"] + answer.body["updated"] + answer.body["skipped"]
    return {name: answer.body[name] for name in COUNTS if answer.body[name]}


def errors(answer: Answer) -> list[tuple[Any, ...]]:
    return [(each["row"], each.get("field"), each["code"]) for each in answer.body["errors"]]


def listed(api: Api, **options: Any) -> dict[str, Any]:
    """All customers by customer_id."""
    found = api.call("list_customers", query="limit=200&include_deleted=true", **options).body["data"]
    return {each["customer_id"]: each for each in found}


def test_rows_become_customers(api: Api) -> None:
    answer = api.upload("Customer ID,First name,E-Mail,Phone\nC-1,Zoë,zoe@EXAMPLE.com,+49 30\nC-2,,,\n".encode())
    assert counts(answer) == {"total": 2, "created": 2}
    assert answer.body["errors"] == []
    made = listed(api)
    assert {name: made["C-1"][name] for name in ("name", "email", "phone", "version")} == {
        "name": "Zoë",
        "email": "zoe@example.com",
        "phone": "+49 30",
        "version": 1,
    }
    assert "name" not in made["C-2"]
    assert api.call("list_customers", query="q=zoe").body["meta"]["total"] == 1


def test_a_match_is_updated_where_its_cells_are_not_blank(api: Api) -> None:
    api.create("C-1", name="Ada", email="ada@example.com", status="lead")
    answer = api.upload(b"customer_id,name,email,status\nC-1,,new@example.com,customer\n")
    assert counts(answer) == {"total": 1, "updated": 1}
    (customer,) = listed(api).values()
    assert (customer["name"], customer["email"], customer["version"]) == ("Ada", "new@example.com", 2)
    quick = api.call("list_customers", query="include_aggregations=true").body["aggregations"]["quick_filters"]
    assert (quick["all"], quick["status:customer"]) == (1, 1)


def test_a_match_that_is_so_already_is_counted_and_not_written(api: Api) -> None:
    before = api.create("C-1", name="Ada").body
    assert counts(api.upload(b"customer_id,name\nC-1,Ada\n")) == {"total": 1, "updated": 1, "unchanged": 1}
    assert listed(api)["C-1"] == before


def test_bad_rows_say_why_by_their_row_in_the_spreadsheet_and_stop_no_good_one(api: Api) -> None:
    file = (
        b"customer_id,name,email,agent_id\n"
        b"C-1,Ada,,\n"
        b"\n"
        b'C-2,"two\nlines",nobody,x\n'
        b",no key,,\n"
        b"C-1,again,,\n"
        b"C-3,Grace,,,surplus\n"
        b"C-4,Linus,,\n"
    )
    answer = api.upload(file)
    assert counts(answer) == {"total": 6, "created": 2, "skipped": 4}
    assert errors(answer) == [
        (4, "name", "control_character"),
        (4, "email", "value_error"),
        (4, "agent_id", "uuid_parsing"),
        (5, "customer_id", "customer_id_missing"),
        (6, "customer_id", "duplicate_row"),
        (7, None, "too_many_cells"),
    ]
    assert listed(api).keys() == {"C-1", "C-4"}
    assert all(each["message"] for each in answer.body["errors"])


def test_a_cell_without_a_value_rejects_its_row_and_is_no_customer_id(api: Api) -> None:
    """An error, a formula that was never computed, or what a spreadsheet writes for an error as CSV."""
    rows = (
        ("customer_id", "name", "email", "Town"),
        ("C-1", xlsx.Error("#REF!"), xlsx.Formula("A1", None), "Rome"),
        ("C-1a", xlsx.Error("#REF!"), "nobody"),
        (xlsx.Error("#N/A"), "Ada"),
        (xlsx.Formula("A1", None), "Grace"),
        ("#DIV/0!", "Zoë"),
        ("C-2", "José", None, xlsx.Error("#N/A")),
    )
    answer = api.upload(xlsx.workbook(rows))
    assert errors(answer)[1:] == [
        (2, "name", "unreadable_cell"),
        (2, "email", "unreadable_cell"),
        (3, "name", "unreadable_cell"),
        (3, "email", "value_error"),
        *((row, "customer_id", "unreadable_cell") for row in (4, 5, 6)),
    ]
    assert listed(api).keys() == {"C-2"}


def test_the_first_of_two_rows_wins_even_if_it_is_bad(api: Api) -> None:
    answer = api.upload(b"customer_id,email\nC-1,nobody\n C-1 ,ada@example.com\n")
    assert errors(answer) == [(2, "email", "value_error"), (3, "customer_id", "duplicate_row")]
    assert not listed(api)


def test_unknown_columns_are_reported_once_and_harm_nothing(api: Api) -> None:
    answer = api.upload(b"customer_id,colour,id,created_at,shoe size\nC-1,red,7,yesterday,43\nC-2,blue,8,today,44\n")
    assert counts(answer) == {"total": 2, "created": 2}
    assert errors(answer) == [(1, "colour", "unknown_column"), (1, "shoe size", "unknown_column")]


def test_a_deleted_match_is_skipped_unless_it_is_to_be_restored(api: Api) -> None:
    id = api.create("C-1", name="Ada").id
    api.call("delete_customer", id)
    file = b"customer_id,name\nC-1,Ada L.\n"
    answer = api.upload(file)
    assert (counts(answer), errors(answer)) == (
        {"total": 1, "skipped": 1},
        [(2, "customer_id", "matches_deleted")],
    )
    assert counts(api.upload(file, query="on_deleted=restore")) == {"total": 1, "updated": 1}
    restored = api.call("get_customer", id).body
    assert (restored["name"], restored["deleted_at"], restored["version"]) == ("Ada L.", None, 3)
    quick = api.call("list_customers", query="include_aggregations=true").body["aggregations"]["quick_filters"]
    assert (quick["all"], quick["deleted"]) == (1, 0)


def test_a_dry_run_tells_what_would_happen_and_writes_nothing(api: Api, dynamodb: Any) -> None:
    api.create("C-1")
    before = dynamodb.scan(TableName="customers")["Items"]
    answer = api.upload(b"customer_id,name\nC-1,Ada\nC-2,Grace\n,nobody\n", query="dry_run=true")
    assert counts(answer) == {"total": 3, "created": 1, "updated": 1, "skipped": 1}
    assert dynamodb.scan(TableName="customers")["Items"] == before


def test_a_parameter_that_is_not_known_is_refused_so_that_no_misspelt_dry_run_writes(api: Api) -> None:
    answer = api.upload(b"customer_id\nC-1\n", query="dryrun=true")
    (problem,) = answer.body["detail"]
    assert (answer.status, problem["type"], problem["loc"]) == (422, "extra_forbidden", ["query", "dryrun"])
    assert not listed(api)
    asked = api.call("create_import", body={"dryrun": True})
    assert (asked.status, asked.body["detail"][0]["loc"]) == (422, ["body", "dryrun"])


def test_a_request_repeated_with_its_key_has_the_same_answer_and_no_further_effect(api: Api) -> None:
    file, headers = b"customer_id,name\nC-1,Ada\n,nobody\n", {"idempotency-key": "k"}
    first = api.upload(file, headers=headers)
    again = api.upload(file, headers=headers)
    assert again.body == first.body
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert listed(api)["C-1"]["version"] == 1


@pytest.mark.parametrize("query", ["", "dry_run=true"])
def test_a_key_that_was_used_for_another_file_or_another_operation_is_refused(api: Api, query: str) -> None:
    headers = {"idempotency-key": "k"}
    api.upload(b"customer_id\nC-1\n", headers=headers)
    answer = api.upload(b"customer_id\nC-2\n", headers=headers, query=query)
    assert (answer.status, answer.body["detail"][0]["type"]) == (422, "idempotency_key_reused")
    assert api.call("create_customer", body={"customer_id": "C-3"}, headers=headers).status == 422


def test_an_interrupted_request_goes_on_where_it_was(api: Api) -> None:
    file = b"customer_id\n" + b"".join(b"C-%d\n" % n for n in range(100))
    left = iter([True, True, True])
    original = Table.transact

    def transact(table: Table, writes: Any) -> None:
        if not next(left, False):
            raise Unavailable
        original(table, writes)

    headers = {"idempotency-key": "k"}
    with patch.object(Table, "transact", transact), patch.object(batches, "BATCH_ROWS", 20):
        assert api.upload(file, headers=headers).status == 503
        assert len(listed(api)) == 60
    with patch.object(batches, "BATCH_ROWS", 20):
        answer = api.upload(file, headers=headers)
    assert counts(answer) == {"total": 100, "created": 100}
    assert {each["version"] for each in listed(api).values()} == {1}


def test_two_requests_with_one_key_at_once_apply_each_row_once(api: Api) -> None:
    """The other request comes in between this one's reading and its writing."""
    file, headers = b"customer_id\nC-1\n", {"idempotency-key": "k"}
    original, nested = Table.transact, list[Answer]()

    def transact(table: Table, writes: Any) -> None:
        if not nested:
            nested.append(Answer(0, {}, None))
            nested[0] = api.upload(file, headers=headers)
        original(table, writes)

    with patch.object(Table, "transact", transact):
        answer = api.upload(file, headers=headers)
    assert counts(nested[0]) == {"total": 1, "created": 1}
    assert (answer.status, answer.body["code"]) == (409, "idempotency_in_progress")


def test_a_row_is_decided_anew_when_its_customer_moves_meanwhile(api: Api) -> None:
    id = api.create("C-1", name="Ada", phone="1").id
    original, moved = Table.transact, list[bool]()

    def transact(table: Table, writes: Any) -> None:
        if not moved:
            moved.append(True)
            api.call("update_customer", id, {"status": "won"})
            api.create("C-2", name="Made meanwhile")
        original(table, writes)

    with patch.object(Table, "transact", transact):
        answer = api.upload(b"customer_id,name\nC-1,Ada L.\nC-2,Grace\n")
    assert counts(answer) == {"total": 2, "updated": 2}
    made = listed(api)
    assert (made["C-1"]["name"], made["C-1"]["status"], made["C-1"]["phone"]) == ("Ada L.", "won", "1")
    assert made["C-2"]["name"] == "Grace"


def test_a_customer_that_is_purged_meanwhile_does_not_come_back(api: Api) -> None:
    id = api.create("C-1").id
    original, moved = Table.transact, list[bool]()

    def transact(table: Table, writes: Any) -> None:
        if not moved:
            moved.append(True)
            api.call("delete_customer", id, query="purge=true")
        original(table, writes)

    with patch.object(Table, "transact", transact):
        answer = api.upload(b"customer_id,name\nC-1,Ada\n")
    assert counts(answer) == {"total": 1, "skipped": 1}
    assert errors(answer) == [(2, "customer_id", "customer_gone")]


def test_more_rows_than_are_taken_at_once_are_refused_with_the_way_for_them(api: Api) -> None:
    rows = b"".join(b"C-%d\n" % n for n in range(101))
    assert counts(api.upload(b"customer_id\n" + rows[: rows.index(b"C-100")])) == {"total": 100, "created": 100}
    answer = api.upload(b"customer_id\n" + rows)
    (problem,) = answer.body["detail"]
    assert (answer.status, problem["loc"], problem["type"]) == (422, ["body", "file"], "too_many_rows")
    assert "POST /customers/imports" in problem["msg"]


@pytest.mark.parametrize(
    ("file", "code"),
    [(b"", "empty_file"), (b"name\nAda\n", "missing_column"), (b"%PDF-1.7\n\x00\x01", "unsupported_file")],
)
def test_a_file_that_cannot_be_read_is_refused(api: Api, file: bytes, code: str) -> None:
    answer = api.upload(file)
    assert (answer.status, answer.body["detail"][0]["type"]) == (422, code)


def test_an_option_that_is_sent_as_a_part_of_the_form_is_refused(api: Api) -> None:
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="dry_run"\r\n\r\ntrue\r\n'
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    body = part.encode() + multipart(b"customer_id\r\nC-1\r\n")
    answer = api.call("import_customers", body=body.decode(), headers=headers)
    assert (answer.status, answer.body["detail"][0]["loc"]) == (422, ["body", "dry_run"])
    assert not listed(api)


def test_the_body_must_be_a_form_with_a_file(api: Api) -> None:
    headers = {"content-type": "multipart/form-data; boundary=b"}
    assert api.call("import_customers", body={}).status == 415
    assert api.call("import_customers", body="{}", headers=headers).body["detail"][0]["type"] == "multipart"
    other = '--b\r\nContent-Disposition: form-data; name="picture"; filename="x"\r\n\r\nx\r\n--b--\r\n'
    answer = api.call("import_customers", body=other, headers=headers)
    assert answer.body["detail"] == [{"loc": ["body", "file"], "msg": "Field required", "type": "missing"}]
    assert api.upload(b"x" * (4 << 20)).status == 413


def test_nobody_else_sees_or_touches_what_an_owner_imports(api: Api) -> None:
    api.create("C-1", name="Grace's", owner="grace")
    assert counts(api.upload(b"customer_id,name\nC-1,Ada\n", owner="ada")) == {"total": 1, "created": 1}
    assert listed(api, owner="grace")["C-1"]["name"] == "Grace's"


def test_a_full_count_item_rejects_only_the_rows_that_want_one_more_status(api: Api, table: Table) -> None:
    api.upload(b"customer_id,status\nC-1,lead\n")
    full = {"filler": "x" * 399_000}
    for shard in range(keys.COUNT_SHARDS):
        key = {"pk": keys.counts("demo-owner")[0], "sk": f"COUNT#{shard:02}"}
        known = table.get(key) or {"writes": 0}
        table.put({**known, **key, **full, keys.count_name("live", keys.status_key("lead")): 1})
    long = "ÿ" * 50
    rows = b"C-2,lead\n" + b"".join(f"N-{n},{long}{n}\n".encode() for n in range(3))
    answer = api.upload(b"customer_id,status\n" + rows)
    assert counts(answer)["created"] == 1
    assert {code for _, _, code in errors(answer)} <= {"too_many_statuses", "string_too_long"}


def test_what_is_remembered_of_a_request_has_nothing_of_the_file(api: Api, dynamodb: Any) -> None:
    canary = "Zephyrine"
    api.upload(f"customer_id,name,email\n{canary}-1,{canary},{canary}\n".encode(), headers={"idempotency-key": "k"})
    assert canary.lower() not in json.dumps(dynamodb.scan(TableName="customers")["Items"]).lower()


def test_it_ends_before_its_time_is_up(api: Api) -> None:
    answer = api.upload(b"customer_id\nC-1\n", context=Context(lambda: 1_000))
    assert (answer.status, answer.body["code"]) == (503, "unavailable")


def test_a_match_that_gets_another_customer_id_between_the_reads_keeps_it(api: Api) -> None:
    id = api.create("A", name="Ada").id
    original, renamed = Table.batch_get, list[bool]()

    def read(table: Table, wanted: Any, **options: Any) -> Any:
        found = original(table, wanted, **options)
        if not renamed:
            renamed.append(True)
            api.call("update_customer", id, {"customer_id": "B"})
        return found

    with patch.object(Table, "batch_get", read):
        answer = api.upload(b"customer_id,name\nA,Ada L.\n")
    assert errors(answer) == [(2, "customer_id", "customer_gone")]
    assert listed(api)["B"]["name"] == "Ada"
    assert api.call("create_customer", body={"customer_id": "B"}).status == 409
    assert api.create("A").status == 201


def test_why_a_value_was_not_taken_never_quotes_it(api: Api) -> None:
    values = ("no address", "a@geheim→firma.com", "a(b)@example.com", "a@" + "ö" * 300 + ".com", "geheim")
    rows = "".join(f'C-{n},"{value}",geheim\n' for n, value in enumerate(values))
    answer = api.upload(f"customer_id,email,agent_id\n{rows}".encode())
    messages = {each["message"] for each in answer.body["errors"]}
    assert "value is not a valid email address: An email address must have an @-sign." in messages
    assert all("geheim" not in each and "→" not in each and len(each) < 150 for each in messages)


def test_as_many_rows_as_can_be_set_may_all_be_bad_and_are_remembered(api: Api) -> None:
    long = "x" * 300
    row = f'"{{}}{long}",{long},{long},{long},{long},{long},{long}\n'
    file = "customer_id,name,surname,email,phone,status,agent_id\n" + "".join(row.format(n) for n in range(300))
    settings = api.app("import_customers").service.settings
    most = settings.model_copy(update={"max_import_rows": 300})
    with patch.object(api.app("import_customers").service, "settings", most):
        answer = api.upload(file.encode(), headers={"idempotency-key": "k"})
    assert counts(answer) == {"total": 300, "skipped": 300}
