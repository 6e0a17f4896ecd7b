"""The file of rejected rows, as it is shown: its own columns first, called what the user calls them, then ours."""

import csv
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

# What the service takes for customer_id, that name before any other: a copy, because its code is not installed with us.
CUSTOMER_ID = (
    "customer id",
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
)


def rows_of(path: Path) -> Iterator[Sequence[str]]:
    """Number, code, message and customer_id of each."""
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.DictReader(file, restval="")
        names = {_folded(name): name for name in reader.fieldnames or ()}
        customer_id = next((names[key] for key in map(_folded, CUSTOMER_ID) if key in names), "")
        for row in reader:
            yield [row.get(name, "") for name in ("row", "code", "message", customer_id)]


def _folded(name: str) -> str:
    """Letters and digits without case and accents."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKD", name).casefold()))
