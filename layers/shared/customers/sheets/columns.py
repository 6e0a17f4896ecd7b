"""Which column of a file is which field of a customer."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from customers.sheets.formulas import is_error, plain
from customers.sheets.problems import Problem, Record, UnreadableFile

type Field = Literal["customer_id", "name", "surname", "email", "phone", "status", "agent_id"]
FIELDS: tuple[Field, ...] = get_args(Field.__value__)
KEY: Field = "customer_id"

# Other names that a column may have. Neither case nor accents, spaces and punctuation matter: "E-Mail Address" is one.
SYNONYMS: Mapping[Field, Sequence[str]] = {
    "customer_id": (
        "customer number",
        "customer no",
        "customer nr",
        "customer code",
        "customer key",
        "customer reference",
        "client id",
        "client number",
        "client no",
        "client code",
        "external id",
        "external key",
    ),
    "name": ("first name", "given name", "forename"),
    "surname": ("last name", "family name"),
    "email": ("e-mail", "e-mail address", "mail"),
    "phone": (
        "phone number",
        "phone no",
        "telephone",
        "telephone number",
        "telephone no",
        "tel",
        "tel no",
        "mobile",
        "mobile number",
        "mobile phone",
        "cell phone",
    ),
    "status": ("customer status", "client status"),
    "agent_id": ("agent", "agent uuid"),
}

# Columns of what we write ourselves, which an import cannot set: they are passed over without a word.
READ_ONLY = ("id", "created_at", "updated_at", "deleted_at", "version", "owner_id", "row", "code", "message")

_SHOWN_CHARS = 40


def _folded(name: str) -> str:
    """Letters and digits without case and accents."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKD", name).casefold()))


_EXACT = {_folded(field): field for field in FIELDS}
_OTHER = {_folded(name): field for field, names in SYNONYMS.items() for name in names}
_READ_ONLY = frozenset(map(_folded, READ_ONLY))


@dataclass(frozen=True, slots=True)
class Columns:
    """What a file's header says. `places` has for each field that the file has its place among the cells.

    `names` are the header's cells, `unknown` those that are no field's (nor read-only), `number` is the header's row.
    """

    names: list[str]
    places: Mapping[Field, int]
    unknown: tuple[str, ...]
    number: int

    def key_of(self, record: Record) -> str:
        """The record's customer_id as it is compared: trimmed, empty for none."""
        place = self.places[KEY]
        cell = record.cells[place] if place < len(record.cells) else ""
        return "" if is_error(cell) else plain(cell).strip()

    def surplus_of(self, record: Record) -> list[str]:
        """The cells beside the header's columns, if any of them has a value."""
        surplus = record.cells[len(self.names) :]
        return surplus if any(map(str.strip, surplus)) else []

    def problem_of(self, record: Record) -> Problem | None:
        """Why this record cannot be taken, if so: it could not be read, or has values beside the header's columns."""
        if not record.problem and self.surplus_of(record):
            count = len(self.names)
            return Problem("too_many_cells", f"The row has more values than the header has columns ({count})")
        return record.problem

    def errors_of(self, record: Record) -> list[Field]:
        """The fields of which the spreadsheet had no value to write."""
        cells = record.cells
        return [field for field, place in self.places.items() if place < len(cells) and is_error(cells[place])]


def columns_of(header: Record | None) -> Columns:
    """Raises `UnreadableFile`: there is no header (None) or none that can be read, no customer_id, a field twice."""
    if header is None:
        raise UnreadableFile("empty_file", "The file is empty")
    if header.problem:
        raise UnreadableFile("unreadable_header", f"The first row should name the columns. {header.problem.message}")
    names = [plain(cell) for cell in header.cells]
    folded = [_folded(name) for name in names]
    exact = _places(names, folded, _EXACT)
    places = {**_places(names, folded, _OTHER, but=exact), **exact}
    if KEY not in places:
        msg = (
            "The first row must be the header, with a column customer_id; "
            f"of a customer's fields row {header.number} names {', '.join(places) or 'none'}"
        )
        raise UnreadableFile("missing_column", msg)  # a file without a header has somebody's data here
    taken = {*places.values(), *(place for place, name in enumerate(folded) if name in _READ_ONLY)}
    unknown = (name.strip() for place, name in enumerate(names) if place not in taken)
    return Columns(names, places, tuple(dict.fromkeys(filter(None, unknown))), header.number)


def values_of(record: Record, columns: Columns) -> dict[str, str]:
    """The record's values by field, without its blank cells."""
    cells = record.cells
    found = ((field, plain(cells[place])) for field, place in columns.places.items() if place < len(cells))
    return {field: value for field, value in found if value and not value.isspace()}


def known_names(names: Sequence[str]) -> int:
    """How many of these cells name a field: what tells a header from other text."""
    return len({_folded(name) for name in names} & {*_EXACT, *_OTHER})


def _places(
    names: Sequence[str], folded: Sequence[str], fields: Mapping[str, Field], *, but: Mapping[Field, int] | None = None
) -> dict[Field, int]:
    """Where the fields that go by these folded names are. Raises `UnreadableFile` if one is there twice."""
    places = dict[Field, int]()
    for place, name in enumerate(folded):
        field = fields.get(name)
        if not field or field in (but or ()):
            continue
        if field in places:
            both = f"{_shown(names[places[field]])}, {_shown(names[place])}"
            raise UnreadableFile("duplicate_column", f"More than one column is the {field}: {both}")
        places[field] = place
    return places


def _shown(name: str) -> str:
    """A name for a message: not too long, and nothing that could not be printed."""
    return "".join(filter(str.isprintable, name.strip()))[:_SHOWN_CHARS]
