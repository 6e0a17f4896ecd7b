"""repeated and conditional requests: Idempotency-Key, ETag, If-Match, If-None-Match."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from customers import keys
from customers.dynamodb import Table
from tests.handlers import Api

KEY = {"idempotency-key": "order-42"}


def expire(dynamodb: Any) -> None:
    """Let the day of every Idempotency-Key be over, though TTL has not yet come by."""
    for item in dynamodb.scan(TableName="customers")["Items"]:
        if item["sk"]["S"] == "#IDEMPOTENCY":
            dynamodb.put_item(TableName="customers", Item={**item, "expires_at": {"N": "1"}})


def test_idempotency_key_replays_the_answer_and_marks_it(api: Api) -> None:
    body = {"customer_id": "C-1", "name": "Ada"}
    first = api.call("create_customer", body=body, headers=KEY)
    again = api.call("create_customer", body=dict(reversed(body.items())), headers=KEY)
    assert (again.status, again.body, again.headers["etag"]) == (201, first.body, first.headers["etag"])
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"


def test_idempotency_key_with_another_body_is_422(api: Api) -> None:
    api.call("create_customer", body={"customer_id": "C-1"}, headers=KEY)
    answer = api.call("create_customer", body={"customer_id": "C-2"}, headers=KEY)
    assert (answer.status, answer.body["detail"][0]["type"]) == (422, "idempotency_key_reused")


def test_idempotency_key_of_a_request_in_progress_is_a_409(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as another transaction holds the key's record, DynamoDB says which write conflicts."""

    def conflict(TransactItems: list[dict[str, Any]], **_: object) -> None:  # noqa: N803 - boto3's name
        held = ["#IDEMPOTENCY" in str(write) for write in TransactItems]
        reasons = [{"Code": "TransactionConflict" if each else "None"} for each in held]
        response: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
        raise ClientError(response, "TransactWriteItems")

    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    monkeypatch.setattr(api.app("create_customer").service.table._client, "transact_write_items", conflict)
    answer = api.call("create_customer", body={"customer_id": "C-1"}, headers=KEY)
    assert (answer.status, answer.body["code"], answer.headers["Retry-After"]) == (409, "idempotency_in_progress", "1")


def test_idempotency_key_belongs_to_its_owner(api: Api) -> None:
    ada = api.call("create_customer", body={"customer_id": "C-1"}, headers=KEY, owner="ada")
    bob = api.call("create_customer", body={"customer_id": "C-1"}, headers=KEY, owner="bob")
    assert (bob.status, bob.id != ada.id) == (201, True)


def test_idempotency_key_may_be_used_again_when_its_day_is_over(api: Api, dynamodb: Any) -> None:
    first = api.call("create_customer", body={"customer_id": "C-1"}, headers=KEY)
    expire(dynamodb)
    second = api.call("create_customer", body={"customer_id": "C-2"}, headers=KEY)
    assert (second.status, second.id != first.id) == (201, True)


def test_idempotency_key_makes_a_replayed_restore_restore_nothing(api: Api) -> None:
    id = api.create("C-1").id
    api.call("delete_customer", id)
    first = api.call("restore_customer", id, headers={**KEY, "if-match": '"v2"'})
    assert (first.status, first.body["version"]) == (200, 3)
    api.call("delete_customer", id)
    again = api.call("restore_customer", id, headers={**KEY, "if-match": '"v2"'})
    assert (again.status, again.headers["idempotency-replayed"]) == (200, "true")
    assert again.body["deleted_at"]


def test_idempotency_key_counts_for_a_restore_that_had_nothing_to_do(api: Api) -> None:
    created = api.create("C-1")
    assert api.call("restore_customer", created.id, headers=KEY).body == created.body
    api.call("delete_customer", created.id)
    assert api.call("restore_customer", created.id, headers=KEY).headers["idempotency-replayed"] == "true"
    assert api.call("get_customer", created.id).status == 404


def test_idempotency_key_goes_with_its_customers_purge(api: Api) -> None:
    first = api.call("create_customer", body={"customer_id": "C-1"}, headers=KEY)
    api.call("delete_customer", first.id, query="purge=true")
    second = api.call("create_customer", body={"customer_id": "C-1"}, headers=KEY)
    assert (second.status, "idempotency-replayed" in second.headers) == (201, False)


def test_idempotency_key_that_was_used_again_outlives_its_first_customers_purge(api: Api, dynamodb: Any) -> None:
    first = api.call("create_customer", body={"customer_id": "C-1"}, headers=KEY)
    expire(dynamodb)
    second = api.call("create_customer", body={"customer_id": "C-2"}, headers=KEY)
    api.call("delete_customer", first.id, query="purge=true")
    again = api.call("create_customer", body={"customer_id": "C-2"}, headers=KEY)
    assert (again.status, again.id, again.headers["idempotency-replayed"]) == (201, second.id, "true")


def test_idempotency_key_of_yesterday_replays_no_restore(api: Api, dynamodb: Any) -> None:
    id = api.create("C-1").id
    api.call("delete_customer", id)
    headers = {**KEY, "if-match": '"v2"'}
    assert api.call("restore_customer", id, headers=headers).status == 200
    expire(dynamodb)
    assert api.call("restore_customer", id, headers=headers).status == 412


def test_idempotency_keys_leave_the_record_as_it_is(api: Api, table: Table) -> None:
    id = api.create("C-1").id
    before = table.get(keys.customer(id))
    for n in range(3):
        api.call("restore_customer", id, headers={"idempotency-key": f"k-{n}"})
    assert table.get(keys.customer(id)) == before


def test_idempotency_key_knows_a_record_by_any_spelling_of_its_id(api: Api) -> None:
    id = api.create("C-1").id
    assert api.call("restore_customer", id, headers=KEY).status == 200
    assert api.call("restore_customer", id.upper(), headers=KEY).headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize("key", ["", "a" * 256, "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "two words"])
def test_idempotency_key_must_be_visible_ascii_of_1_to_255_characters(api: Api, key: str) -> None:
    answer = api.call("create_customer", body={"customer_id": "C-1"}, headers={"idempotency-key": key})
    assert (answer.status, answer.body["detail"][0]["loc"]) == (422, ["header", "Idempotency-Key"])


@pytest.mark.parametrize("tags", ['"v1"', "*", '"v7", "v1"'])
def test_if_match_lets_the_named_version_through(api: Api, tags: str) -> None:
    id = api.create("C-1").id
    assert api.call("update_customer", id, {"name": "Ada"}, headers={"if-match": tags}).headers["etag"] == '"v2"'


@pytest.mark.parametrize("tags", ['"v2"', 'W/"v1"', "v1", ""])
@pytest.mark.parametrize(
    ("operation", "query"),
    [("update_customer", ""), ("delete_customer", ""), ("delete_customer", "purge=true"), ("restore_customer", "")],
)
def test_if_match_of_another_version_is_412_and_changes_nothing(
    api: Api, operation: str, query: str, tags: str
) -> None:
    created = api.create("C-1")
    body = {"name": "Eve"} if operation == "update_customer" else None
    answer = api.call(operation, created.id, body, query=query, headers={"if-match": tags})
    assert (answer.status, answer.body["code"]) == (412, "precondition_failed")
    assert api.call("get_customer", created.id).body == created.body


def test_without_if_match_the_last_write_wins_per_sent_field(api: Api) -> None:
    id = api.create("C-1").id
    api.call("update_customer", id, {"name": "Ada", "surname": "King"})
    body = api.call("update_customer", id, {"surname": "Lovelace"}).body
    assert (body["name"], body["surname"]) == ("Ada", "Lovelace")


@pytest.mark.parametrize("tags", ['"v1"', 'W/"v1"', "*", '"v9", "v1"'])
def test_if_none_match_of_the_current_version_is_304_without_a_body(api: Api, tags: str) -> None:
    id = api.create("C-1").id
    answer = api.call("get_customer", id, headers={"if-none-match": tags})
    assert (answer.status, answer.body, answer.headers["etag"]) == (304, None, '"v1"')


def test_if_none_match_of_an_older_version_is_answered_in_full(api: Api) -> None:
    id = api.create("C-1").id
    assert api.call("get_customer", id, headers={"if-none-match": '"v0"'}).status == 200
