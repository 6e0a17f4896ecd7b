"""What a listing says of itself, beside its customers."""

from typing import Any, Literal

from pydantic import BaseModel


class Sort(BaseModel):
    field: str = "created_at"
    direction: Literal["asc", "desc"] = "desc"


class Meta(BaseModel):
    total: int
    limit: int
    offset: int = 0
    sort: Sort = Sort()


class Query(BaseModel):
    filters: dict[str, Any] = {}
    sort: Sort = Sort()
