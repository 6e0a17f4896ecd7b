"""Recounts a table: what must be true of it between any two requests."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from customers import keys
from customers.dynamodb import decode
from tests.handlers import Answer, Api

type Item = dict[str, Any]


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
        for item in self.items():
            key = {"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}}
            self.client.delete_item(TableName=self.api.environment["TABLE_NAME"], Key=key)
        for app in self.api.apps.values():
            app.service.customers._registered_owners.clear()

    def assert_true(self) -> dict[str, Item]:
        """The records by id, once nothing about them is found to be half-written, lost or counted wrong."""
        items = self.items()
        records = {item["id"]: item for item in items if item["sk"] == "#CUSTOMER"}
        assert not [record for record in records.values() if record["state"] == "purging"]
        assert {keys.id_of(i["pk"]) for i in items if i["pk"].startswith("CUSTOMER#")} == set(records)
        reserved = {i["pk"]: i["id"] for i in items if i["sk"] == "#KEY"}
        assert reserved == {keys.unique(r["owner_id"], r["customer_id"])["pk"]: id for id, r in records.items()}
        remembered = {(i["pk"], i["id"]) for i in items if i["sk"] == "#IDEMPOTENCY"}
        assert remembered == {(i["sk"], keys.id_of(i["pk"])) for i in items if keys.pointed_record(i["sk"])}
        assert _counted(items) == Counter(
            (f"OWNER#{record['owner_id']}", keys.count_name(record["state"], keys.status_key(record.get("status"))))
            for record in records.values()
        )
        return records


def _counted(items: list[Item]) -> Counter[tuple[str, str]]:
    counted = Counter[tuple[str, str]]()
    for item in items:
        if item["sk"].startswith("COUNT#"):
            numbers = {name: int(number) for name, number in item.items() if name not in {"pk", "sk", "writes"}}
            counted.update({(item["pk"], name): number for name, number in numbers.items() if number})
    return Counter({name: number for name, number in counted.items() if number})
