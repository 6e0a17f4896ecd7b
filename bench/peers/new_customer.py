"""What the peers take, and what they write of it: the items that the table of template.yaml wants."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict, EmailStr, Field

from customers import keys

Short = Annotated[str, Field(max_length=50)]
Medium = Annotated[str, Field(max_length=255)]


class CustomerIn(BaseModel):
    model_config = ConfigDict(str_strip_whitespace=True)

    customer_id: Annotated[str, Field(min_length=1, max_length=255)]
    name: Medium | None = None
    surname: Medium | None = None
    email: EmailStr | None = None
    phone: Short | None = None
    status: Short | None = None
    agent_id: UUID | None = None


def record(new: CustomerIn, owner: str) -> dict[str, Any]:
    """The customer's item but for its key."""
    id, now = str(uuid4()), keys.timestamp(datetime.now(UTC))
    fields = new.model_dump(mode="json", exclude_none=True)
    own = {**fields, "id": id, "owner_id": owner, "created_at": now, "updated_at": now, "state": "live", "version": 1}
    derived = keys.DirectoryEntry.of(own).index_attributes()
    return {**own, **derived, "directory_shard": keys.directory_shard(id)}


def transaction(table: str, item: dict[str, Any]) -> list[Any]:
    """The record, its unique key and the owner's count, for the client of a boto3 resource."""
    owner = item["owner_id"]
    unique = {**keys.unique(owner, item["customer_id"]), "id": item["id"]}
    return [
        {
            "Put": {
                "TableName": table,
                "Item": {**keys.customer(item["id"]), **item},
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        },
        {"Put": {"TableName": table, "Item": unique, "ConditionExpression": "attribute_not_exists(pk)"}},
        {
            "Update": {
                "TableName": table,
                "Key": keys.count(owner, item["id"]),
                "UpdateExpression": "SET moved_at = :at ADD writes :one, #count :one",
                "ExpressionAttributeNames": {"#count": keys.count_name("live", item["status_key"])},
                "ExpressionAttributeValues": {":at": item["created_at"], ":one": 1},
            }
        },
    ]
