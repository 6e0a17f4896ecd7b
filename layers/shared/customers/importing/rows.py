"""What a row of a file says of a customer, or why it says nothing."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self

from pydantic import BaseModel, ValidationError

from customers.models import CustomerCreate
from customers.sheets import Columns, Record, values_of

type OnDeleted = Literal["skip", "restore"]

QUOTING = re.compile("['\"`]|U\\+")  # quotes, or code points
MISSING_KEY = "customer_id_missing"
NO_VALUE = "The cell shows an error such as #N/A, or its formula was never computed"


class RowError(BaseModel):
    """Why a row was not taken; of a column that is no customer's field, `row` is the header's. Quotes no value."""

    row: int
    field: str | None = None
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row to apply: what it sets, its customer_id included. With `errors` it is not applied."""

    number: int
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    errors: Sequence[RowError] = ()

    @classmethod
    def of(cls, record: Record, columns: Columns) -> Self:
        """A blank cell sets nothing."""
        if problem := columns.problem_of(record):
            return cls.rejected(record.number, problem.code, problem.message)
        unreadable = columns.errors_of(record)
        errors = [
            RowError(row=record.number, field=name, code="unreadable_cell", message=NO_VALUE) for name in unreadable
        ]
        values = values_of(record, columns)
        if "customer_id" not in values:
            return cls.rejected(record.number, MISSING_KEY, "The row has no customer_id", "customer_id")
        try:
            taken = CustomerCreate.model_validate(values)
        except ValidationError as invalid:
            found = invalid.errors(include_url=False, include_context=False, include_input=False)
            errors += [
                RowError(row=record.number, field=str(e["loc"][0]), code=e["type"], message=_unquoted(e["msg"]))
                for e in found
                if e["loc"][0] not in unreadable
            ]
        if errors:
            return cls(record.number, errors=errors)
        return cls(record.number, taken.model_dump(exclude_unset=True))

    @classmethod
    def rejected(cls, number: int, code: str, message: str, of: str | None = None) -> Self:
        error = RowError(row=number, code=code, message=message)
        return cls(number, errors=[error.model_copy(update={"field": of}) if of else error])

    @classmethod
    def duplicate(cls, number: int) -> Self:
        return cls.rejected(number, "duplicate_row", "An earlier row has this customer_id", "customer_id")

    @property
    def customer_id(self) -> str:
        return str(self.values["customer_id"])


def _unquoted(message: str) -> str:
    """Without the reason that follows, if it quotes the value: messages are kept, and are as long as the value."""
    return re.split("[:,]", message)[0] if QUOTING.search(message) else message


@dataclass(slots=True)
class Tally:
    """What became of rows: each was created, updated or skipped. Of those updated, `unchanged` were so already."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0

    def __add__(self, other: Self) -> "Tally":
        return Tally(
            self.created + other.created,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.skipped + other.skipped,
        )

    @property
    def total(self) -> int:
        return self.created + self.updated + self.skipped

    def numbers(self) -> dict[str, int]:
        """By name, as they are stored."""
        return asdict(self)

    @classmethod
    def stored(cls, numbers: Mapping[str, Any]) -> Self:
        """From an item that has these numbers, among other things."""
        return cls(**{each.name: int(numbers[each.name]) for each in fields(cls)})


def unknown_columns(columns: Columns) -> list[RowError]:
    message = "This column is no field of a customer, and nothing is done with it"
    return [
        RowError(row=columns.number, field=name, code="unknown_column", message=message) for name in columns.unknown
    ]
