"""What is exported can be imported again without a change, and into another account as it was."""

import json
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.handlers import Answer, Api, Context

FIELDS = ("customer_id", "name", "surname", "email", "phone", "status", "agent_id")

# What spreadsheets, CSV readers and our own marks stumble over, and anything else that a field takes.
text = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=20)
marked = st.builds(str.__add__, st.sampled_from(["'", "''", "=", "'=", "+", "-1", "@", '"', ",", ";", "="]), text)
marked |= st.builds(str.__add__, st.sampled_from(["", "'", "''"]), st.sampled_from(["#N/A", "#REF!", "#N/A!"]))
value = st.one_of(text, marked).map(str.strip).filter(bool)
customer = st.fixed_dictionaries(
    {"customer_id": value},
    optional={
        "name": value,
        "surname": value,
        "email": st.sampled_from(["a@example.com", "ä.b+c@exämple.com", "'o@example.com"]),
        "phone": st.one_of(st.sampled_from(["+49 30 1", "007", "3.9E+10"]), value),
        "status": st.sampled_from(["lead", "VIP", "=sum", "a,b"]),
        "agent_id": st.uuids().map(str),
    },
)
customers = st.lists(customer, min_size=1, max_size=6, unique_by=lambda each: each["customer_id"])
cell = st.one_of(st.just(""), text, marked, st.sampled_from(["a@example.com", "no address", "C-1", " C-1 "]))
table = st.lists(st.lists(cell, min_size=3, max_size=5), max_size=12)
examples = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def api(api_with_files: Api) -> Api:
    return api_with_files


def exported(api: Api, bucket: Any, owner: str) -> bytes:
    """An owner's customers in a CSV file."""
    with patch.object(api.app("create_export").exports, "start"):
        id = api.call("create_export", body={"include_deleted": True}, owner=owner).id
    api.app("export_customers").lambda_handler({"export_id": id}, Context(lambda: 900_000, str(uuid4())))
    return bytes(bucket.Object(f"results/{id}/customers.csv").get()["Body"].read())


def listed(api: Api, owner: str) -> list[Any]:
    return list(api.call("list_customers", query="limit=200&sort_dir=asc", owner=owner).body["data"])


def assert_counted(answer: Answer) -> None:
    counts = answer.body
    assert counts["total"] == counts["created"] + counts["updated"] + counts["skipped"]
    rejected = {each["row"] for each in counts["errors"] if each["code"] != "unknown_column"}
    assert len(rejected) == counts["skipped"]


@examples
@given(customers)
def test_an_export_imports_to_the_same_state(api: Api, bucket: Any, people: list[dict[str, str]]) -> None:
    owner, other = str(uuid4()), str(uuid4())
    made = [api.call("create_customer", body=each, owner=owner, headers={}).status for each in people]
    assert made == [201] * len(people), people
    before = listed(api, owner)
    file = exported(api, bucket, owner)
    again = api.upload(file, owner=owner)
    assert_counted(again)
    assert (again.body["unchanged"], again.body["errors"]) == (len(people), [])
    assert listed(api, owner) == before
    assert_counted(api.upload(file, owner=other))
    there = {each["customer_id"]: each for each in listed(api, other)}
    for each in before:
        assert [there[each["customer_id"]].get(name) for name in FIELDS] == [each.get(name) for name in FIELDS]


@examples
@given(table, st.booleans())
def test_every_row_of_any_file_is_counted_once(api: Api, rows: list[list[str]], dry_run: bool) -> None:
    lines = [",".join('"' + each.replace('"', '""') + '"' for each in row) for row in rows]
    file = "\n".join(["customer_id,name,email", *lines]).encode()
    owner = str(uuid4())
    answer = api.upload(file, owner=owner, query=f"dry_run={json.dumps(dry_run)}")
    assert answer.status == 200, answer.body
    assert_counted(answer)
    assert answer.body["total"] == sum(any(map(str.strip, row)) for row in rows)
    assert len(listed(api, owner)) == (0 if dry_run else answer.body["created"])
