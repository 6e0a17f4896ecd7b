"""one customer: duplicate keys, PATCH, strings, delete, restore, purge."""

from collections import Counter
from typing import Any
from uuid import uuid4

import pytest

from customers import keys
from customers.dynamodb import Table
from tests.handlers import Api


def test_duplicate_customer_id_is_a_409_that_names_the_existing_record(api: Api) -> None:
    first = api.create("C-1")
    answer = api.call("create_customer", body={"customer_id": " C-1 "})
    assert (answer.status, answer.body["code"]) == (409, "customer_id_taken")
    assert (answer.body["existing_id"], answer.body["existing_deleted"]) == (first.id, False)


def test_duplicate_customer_id_is_no_conflict_between_owners(api: Api) -> None:
    api.create("C-1", owner="ada")
    api.create("C-1", owner="bob")


def test_a_deleted_records_key_stays_reserved_until_purge(api: Api) -> None:
    first = api.create("C-1")
    api.call("delete_customer", first.id)
    answer = api.call("create_customer", body={"customer_id": "C-1"})
    assert (answer.status, answer.body["existing_deleted"]) == (409, True)
    api.call("delete_customer", first.id, query="purge=true")
    api.create("C-1")


def test_patch_leaves_what_is_absent_and_clears_what_is_null(api: Api) -> None:
    id = api.create("C-1", name="Ada", phone="123").id
    answer = api.call("update_customer", id, {"phone": None, "surname": "Lovelace"})
    assert answer.status == 200
    assert (answer.body["name"], answer.body["surname"]) == ("Ada", "Lovelace")
    assert "phone" not in answer.body


@pytest.mark.parametrize(
    ("nothing", "kind"), [(None, "string_type"), ("", "string_too_short"), ("  ", "string_too_short")]
)
def test_patch_refuses_a_null_or_blank_customer_id(api: Api, nothing: str | None, kind: str) -> None:
    id = api.create("C-1").id
    answer = api.call("update_customer", id, {"customer_id": nothing})
    (problem,) = answer.body["detail"]
    assert (answer.status, problem["loc"], problem["type"]) == (422, ["body", "customer_id"], kind)


@pytest.mark.parametrize("body", [{}, {"name": "Ada"}, {"id": str(uuid4()), "created_at": "x", "colour": "red"}])
def test_patch_that_changes_nothing_is_200_and_nothing_moves(api: Api, body: dict[str, Any]) -> None:
    created = api.create("C-1", name="Ada")
    answer = api.call("update_customer", created.id, body)
    assert (answer.status, answer.body) == (200, created.body)


def test_patch_moves_the_key_when_the_customer_id_changes(api: Api) -> None:
    id = api.create("C-1").id
    assert api.call("update_customer", id, {"customer_id": "C-2"}).body["customer_id"] == "C-2"
    api.create("C-1")
    assert api.call("create_customer", body={"customer_id": "C-2"}).status == 409


def test_patch_to_a_taken_customer_id_is_a_409_and_changes_nothing(api: Api) -> None:
    taken, other = api.create("C-1"), api.create("C-2", name="Ada")
    answer = api.call("update_customer", other.id, {"customer_id": "C-1", "name": "Eve"})
    assert (answer.status, answer.body["existing_id"]) == (409, taken.id)
    assert api.call("get_customer", other.id).body == other.body


def test_patch_and_purge_leave_a_key_that_an_earlier_fault_gave_to_another_record(api: Api, table: Table) -> None:
    robbed, other = api.create("C-1"), api.create("C-2")
    stolen = {**keys.unique("demo-owner", "C-1"), "id": other.id}
    table.put(stolen)
    assert api.call("update_customer", robbed.id, {"customer_id": "C-3"}).status == 200
    assert table.get(keys.unique("demo-owner", "C-1")) == stolen
    table.put({**keys.unique("demo-owner", "C-3"), "id": other.id})
    assert api.call("delete_customer", robbed.id, query="purge=true").status == 204


def test_unknown_and_read_only_fields_are_ignored_or_refused_by_a_parameter(api: Api, dynamodb: Any) -> None:  # noqa: ARG001
    body = {"customer_id": "C-1", "version": 9, "colour": "red"}
    assert api.call("create_customer", body=body).body["version"] == 1
    strict = Api({**api.environment, "REJECT_UNKNOWN_FIELDS": "true"}, api.check)
    answer = strict.call("create_customer", body=body)
    assert answer.status == 422
    assert [problem["loc"] for problem in answer.body["detail"]] == [["body", "version"], ["body", "colour"]]


def test_strings_are_trimmed_and_blank_means_none(api: Api) -> None:
    body = api.create("  C-1 ", name=" Ada\t", surname="  ", email="", agent_id="").body
    assert (body["customer_id"], body["name"]) == ("C-1", "Ada")
    assert not {"surname", "email", "agent_id"} & body.keys()


@pytest.mark.parametrize("text", ['"a\\u0000b"', '"a\\nb"', '"a\\u001fb"', '"a\\u0085b"', '"a\\ud800b"'])
def test_strings_with_control_characters_or_lone_surrogates_are_422(api: Api, text: str) -> None:
    answer = api.call("create_customer", body=f'{{"customer_id": "C-1", "name": {text}}}')
    assert answer.status == 422


def test_strings_of_combining_marks_alone_are_no_status_but_422(api: Api) -> None:
    answer = api.call("create_customer", body={"customer_id": "C-1", "status": "\N{COMBINING ACUTE ACCENT}"})
    assert (answer.status, answer.body["detail"][0]["loc"]) == (422, ["body", "status"])


@pytest.mark.parametrize(
    ("field", "longest"), [("customer_id", 255), ("name", 255), ("surname", 255), ("phone", 50), ("status", 50)]
)
def test_strings_have_their_contracts_length_and_not_one_more(api: Api, field: str, longest: int) -> None:
    text = "\N{GRINNING FACE}" * longest
    created = api.call("create_customer", body={"customer_id": "C-1", field: text})
    assert (created.status, created.body[field]) == (201, text)
    answer = api.call("create_customer", body={"customer_id": "C-2", field: text + "x"})
    assert (answer.status, answer.body["detail"][0]["loc"]) == (422, ["body", field])


def test_email_is_validated_and_lower_cased_in_its_domain_and_may_be_shared(api: Api) -> None:
    assert api.create("C-1", email="Ada@EXAMPLE.com").body["email"] == "Ada@example.com"
    api.create("C-2", email="Ada@example.com")
    assert api.call("create_customer", body={"customer_id": "C-3", "email": "no address"}).status == 422


def test_phone_is_kept_as_typed(api: Api) -> None:
    assert api.create("C-1", phone="(0039) 02-1234 int. 5").body["phone"] == "(0039) 02-1234 int. 5"


def test_updated_at_moves_on_create_patch_delete_and_restore(api: Api) -> None:
    created = api.create("C-1")
    times = [created.body["created_at"], created.body["updated_at"]]
    assert times[0] == times[1]
    times.append(api.call("update_customer", created.id, {"name": "Ada"}).body["updated_at"])
    api.call("delete_customer", created.id)
    deleted = api.call("get_customer", created.id, query="include_deleted=true").body
    assert deleted["deleted_at"] == deleted["updated_at"]
    times += [deleted["updated_at"], api.call("restore_customer", created.id).body["updated_at"]]
    assert times[1:] == sorted(set(times))


@pytest.mark.parametrize("operation", ["get_customer", "get_customer_detail"])
def test_get_and_detail_of_a_deleted_record_are_404_unless_it_is_included(api: Api, operation: str) -> None:
    id = api.create("C-1").id
    api.call("delete_customer", id)
    answer = api.call(operation, id)
    assert (answer.status, answer.body["code"]) == (404, "customer_deleted")
    assert api.call(operation, id, query="include_deleted=true").status == 200


def test_patch_of_a_deleted_record_wants_a_restore_first(api: Api) -> None:
    id = api.create("C-1").id
    api.call("delete_customer", id)
    answer = api.call("update_customer", id, {"name": "Ada"})
    assert (answer.status, answer.body["code"]) == (404, "customer_deleted")


def test_telling_deleted_rows_apart_takes_deleted_at_and_version(api: Api) -> None:
    created = api.create("C-1")
    assert (created.body["deleted_at"], created.body["version"]) == (None, 1)
    api.call("delete_customer", created.id)
    deleted = api.call("get_customer", created.id, query="include_deleted=true").body
    assert deleted["deleted_at"]
    assert deleted["version"] == 2


def test_delete_of_a_deleted_record_is_204_and_its_deleted_at_stays(api: Api) -> None:
    id = api.create("C-1").id
    answers = [api.call("delete_customer", id)]
    first = api.call("get_customer", id, query="include_deleted=true").body
    answers.append(api.call("delete_customer", id))
    assert [answer.status for answer in answers] == [204, 204]
    assert api.call("get_customer", id, query="include_deleted=true").body == first


@pytest.mark.parametrize("deleted_before", [False, True])
def test_delete_with_purge_leaves_nothing_and_then_it_had_never_been(
    api: Api, dynamodb: Any, *, deleted_before: bool
) -> None:
    headers = {"idempotency-key": "k"}
    id = api.call("create_customer", body={"customer_id": "C-1", "status": "lead"}, headers=headers).id
    if deleted_before:
        api.call("delete_customer", id)
    assert api.call("delete_customer", id, query="purge=true").status == 204
    left = {
        item["pk"]["S"] + " " + item["sk"]["S"].partition("#")[0]
        for item in dynamodb.scan(TableName="customers")["Items"]
    }
    mark = keys.freed("demo-owner", "C-1")["pk"]
    assert left == {"OWNER#demo-owner COUNT", "OWNER#demo-owner TOMBSTONE", "OWNERS demo-owner", f"{mark} "}
    never = api.call("get_customer", str(uuid4()))
    for operation in ("get_customer", "delete_customer", "restore_customer"):
        assert api.call(operation, id, query="purge=true").body == never.body | {
            "request_id": f"event-{operation.replace('_', '-')}"
        }


def test_purge_drops_the_bookmarks_and_fences_of_its_owner_and_of_nobody_else(
    api: Api, table: Table, dynamodb: Any
) -> None:
    """They hold names and addresses of anybody in the list."""
    for owner in ("demo-owner", "demo-owner-2", "bob"):
        for n in range(30):
            table.put({**keys.bookmark(owner, f"listing-{n % 3}", n), "behind": ["ada"]})
        table.put({**keys.fences(owner, "listing-1"), "fences": b"ada"})
    api.call("delete_customer", api.create("C-1").id, query="purge=true")
    left = [item["pk"]["S"] for item in dynamodb.scan(TableName="customers")["Items"] if "ada" in str(item)]
    assert Counter(left) == {"OWNER#demo-owner-2": 31, "OWNER#bob": 31}


def test_purge_removes_everything_in_the_collection_whatever_its_kind(api: Api, dynamodb: Any) -> None:
    id = api.create("C-1").id
    for sk in ("#STATS", "#TARGET#1", *(f"ACTIVITY#{n:03}" for n in range(60))):
        dynamodb.put_item(TableName="customers", Item={"pk": {"S": f"CUSTOMER#{id}"}, "sk": {"S": sk}})
    assert api.call("delete_customer", id, query="purge=true").status == 204
    assert not [i for i in dynamodb.scan(TableName="customers")["Items"] if i["pk"]["S"] == f"CUSTOMER#{id}"]


def test_restore_of_a_live_record_is_200_and_no_change(api: Api) -> None:
    created = api.create("C-1")
    answer = api.call("restore_customer", created.id)
    assert (answer.status, answer.body) == (200, created.body)


def test_restore_brings_a_deleted_record_back(api: Api) -> None:
    created = api.create("C-1", name="Ada", status="lead")
    api.call("delete_customer", created.id)
    answer = api.call("restore_customer", created.id)
    assert (answer.status, answer.body["deleted_at"], answer.body["version"]) == (200, None, 3)
    assert answer.body["name"] == "Ada"


@pytest.mark.parametrize(("days", "due"), [("30", True), ("0", False)])
def test_retention_of_zero_days_means_never(api: Api, dynamodb: Any, days: str, *, due: bool) -> None:
    kept = Api({**api.environment, "RETENTION_DAYS": days}, api.check)
    id = kept.create("C-1").id
    kept.call("delete_customer", id)
    indexed = dynamodb.scan(TableName="customers", IndexName="by_purge")["Items"]
    assert bool(indexed) is due
