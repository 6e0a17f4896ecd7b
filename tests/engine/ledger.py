"""Recounts a table: what must be true of it between any two requests."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import batched
from typing import Any

from customers import keys
from customers.dynamodb import BATCH_WRITE_ITEMS, decode, encode
from customers.events import PLANNED
from tests.handlers import Answer, Api

type Item = dict[str, Any]

# The counters of a target, by the type of the activity that moves them.
OF_TARGET = {"call": "calls_made", "whatsapp": "whatsapp_sent", "email": "email_sent"}
ENDS = {"answered", "failed", "no_answer", "busy", "timeout", "voicemail"}  # of a call, that are counted


@dataclass
class Ledger:
    """One owner's view of the API, and the whole table behind it."""

    api: Api
    client: Any
    owner: str = "ada"

    def call(self, operation: str, id: str | None = None, body: Any = None, **options: Any) -> Answer:
        return self.api.call(operation, id, body, **{"owner": self.owner, **options})

    def create(self, customer_id: str, **fields: Any) -> Answer:
        return self.api.create(customer_id, owner=self.owner, **fields)

    def items(self) -> list[Item]:
        pages = self.client.get_paginator("scan").paginate(TableName=self.api.environment["TABLE_NAME"])
        return [decode(item) for page in pages for item in page["Items"]]

    def clear(self) -> None:
        self.remove(self.items())
        self.api.app("create_customer").service.customers._registered_owners.clear()

    def remove(self, items: Iterable[Item]) -> None:
        self._write({"DeleteRequest": {"Key": encode({"pk": item["pk"], "sk": item["sk"]})}} for item in items)

    def put(self, items: Iterable[Item]) -> None:
        self._write({"PutRequest": {"Item": encode(item)}} for item in items)

    def _write(self, requests: Iterable[Item]) -> None:
        for batch in batched(requests, BATCH_WRITE_ITEMS, strict=False):
            self.client.batch_write_item(RequestItems={self.api.environment["TABLE_NAME"]: list(batch)})

    def assert_true(self) -> dict[str, Item]:
        """The records by id, once nothing about them is found to be half-written, lost or counted wrong."""
        items = self.items()
        records = {item["id"]: item for item in items if item["sk"] == "#CUSTOMER"}
        assert not [record for record in records.values() if record["state"] == "purging"]
        collections = defaultdict[str, list[Item]](list)
        for item in items:
            if item["pk"].startswith("CUSTOMER#"):
                collections[keys.id_of(item["pk"])].append(item)
        assert collections.keys() == records.keys()
        reserved = {i["pk"]: i["id"] for i in items if i["sk"] == "#KEY"}
        assert reserved == {keys.unique(r["owner_id"], r["customer_id"])["pk"]: id for id, r in records.items()}
        remembered = {(i["pk"], i["id"]) for i in items if i["sk"] == "#IDEMPOTENCY" and "id" in i}
        assert remembered == {(i["sk"], keys.id_of(i["pk"])) for i in items if keys.pointed_record(i["sk"])}
        assert _counted(items) == Counter(
            (f"OWNER#{record['owner_id']}", keys.count_name(record["state"], keys.status_key(record.get("status"))))
            for record in records.values()
        )
        for collection in collections.values():
            _assert_activity_counted(collection)
        return records


def _counted(items: list[Item]) -> Counter[tuple[str, str]]:
    counted = Counter[tuple[str, str]]()
    for item in items:
        if item["sk"].startswith("COUNT#"):
            numbers = {name: int(number) for name, number in _rest(item, "writes", "moved_at").items()}
            counted.update({(item["pk"], name): number for name, number in numbers.items() if number})
    return Counter({name: number for name, number in counted.items() if number})


def _assert_activity_counted(collection: list[Item]) -> None:
    """What is kept about a customer's contacts equals a recount of the contacts themselves."""
    items = {item["sk"]: item for item in collection}
    contacts = [items[sk] for sk in sorted(items) if sk.startswith("ACTIVITY#")]
    assert [each["sk"] for each in contacts] == [f"ACTIVITY#{_time(e)}#{e['type']}#{e['id']}" for e in contacts]
    positions = {sk: item["activity"] for sk, item in items.items() if sk.startswith("POSITION#")}
    assert positions == {f"POSITION#{each['type']}#{each['id']}": each["sk"] for each in contacts}
    assert len(positions) == len(contacts)
    assert _rest(items.get("#STATS", {}), "writes") == {
        **Counter(name for each in contacts for name in _statistics(each)),
        **_newest("last_contact", [each["sk"] for each in contacts if _made(each)]),
        **_newest("last_call", [each for each in contacts if each["type"] == "call" and _made(each)]),
    }
    targets = {sk for sk in items if sk.startswith("#TARGET#")}
    for sk in targets | {f"#TARGET#{each['campaign_id']}" for each in contacts if "campaign_id" in each}:
        own = [each for each in contacts if sk == f"#TARGET#{each.get('campaign_id')}" and _made(each)]
        assert _rest(items.get(sk, {}), "enrolment", "deleted_at") == {
            **Counter(OF_TARGET[each["type"]] for each in own),
            **_newest("last_contact", [each["sk"] for each in own]),
            **_newest("last_email", [each["sk"] for each in own if each["type"] == "email"]),
        }


def _newest(name: str, contacts: list[Any]) -> Item:
    return {name: contacts[-1]} if contacts else {}


def _rest(item: Item, *others: str) -> Item:
    return {name: value for name, value in item.items() if name not in {"pk", "sk", *others}}


def _time(contact: Item) -> str:
    names = ("dispatched_at", "finished_at", "scheduled_at") if contact["type"] == "call" else ("sent_at",)
    return next(str(contact[name]) for name in names if name in contact)


def _made(contact: Item) -> bool:
    """A call that is only planned, or was given up, is no contact."""
    if contact["type"] != "call" or {"dispatched_at", "finished_at"} & contact.keys():
        return True
    return bool(_end(contact)) or _word(contact["status"]) not in PLANNED


def _end(call: Item) -> str | None:
    said = (_word(call.get(name, "")) for name in ("outcome", "status"))
    return next((word for word in said if word in ENDS), None)


def _word(text: str) -> str:
    return re.sub("[ -]", "_", text.lower())


def _statistics(contact: Item) -> Iterator[str]:
    if contact["type"] != "call":
        yield "whatsapp_sent" if contact["type"] == "whatsapp" else "emails_sent"
        return
    yield "calls_total"
    if end := _end(contact):
        yield f"calls_{end}"
