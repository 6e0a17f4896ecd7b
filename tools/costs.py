"""The README's table of access patterns: what a person wrote of each, with the figures that `make bench` measured."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tools.template import ROOT

README = ROOT / "README.md"
RESULTS = ROOT / "bench" / "results" / "units.json"
PRICES = ROOT / "bench" / "prices.json"
BEGIN, END = "<!-- Written by tools.documents from bench/results/units.json: -->\n", "<!-- Until here. -->\n"
LINE_CHARACTERS = 120
SORTS = tuple(f"list by {f}" for f in ("updated_at", "status", "name", "surname", "email", "phone", "customer_id"))

type Operation = Mapping[str, Any]  # as measured


@dataclass(frozen=True, slots=True)
class Row:
    """`requests`: in sequence (`∥`: side by side). `measured`: the operations whose greatest figures it has; its own.

    What is not measured is `said`: its read units, in words.
    """

    name: str
    requests: str
    measured: tuple[str, ...] = ()
    said: str = ""

    @property
    def operations(self) -> tuple[str, ...]:
        return () if self.said else self.measured or (self.name,)


ROWS = (
    Row("get", "GetItem"),
    Row("detail", "Query of the customer's collection, BatchGetItem of campaigns"),
    Row("campaigns of a customer", "as detail, of all its campaigns"),
    Row("activity, all or of some types", "Query of record and statistics, Query up to the page"),
    Row("activity, otherwise filtered", "Query of record and statistics, Query of the dates, BatchGetItem"),
    Row("create", "one transaction"),
    Row("update of a name", "GetItem, one transaction"),
    Row("update of a status", "GetItem, one transaction"),
    Row("delete", "GetItem, one transaction, Query of its enrolments"),
    Row("restore", "GetItem, one transaction, Query of its enrolments"),
    Row("purge of a live one", "GetItem, one transaction, Queries of what is left, GetItem, two transactions"),
    Row("event: an enrolment that has changed", "GetItem, one transaction"),
    Row("event: a new call of a campaign", "GetItem of statistics, position and enrolment, one transaction"),
    Row("event: a new message of no campaign", "GetItem of statistics and position, one transaction"),
    Row("import: 40 new rows", "BatchGetItem of keys, then of freed ones, one transaction"),
    Row("import: 40 rows with a new name", "BatchGetItem of keys, then of records, one transaction"),
    Row("progress of an import", "Query of it and its chunks", said="1 for 12 chunks"),
    Row("export", "Query counts, then all of `by_created`", said="⅛ a record"),
    Row("list, newest first", "Query `by_created` ∥ Query counts"),
    Row("list, other order", "Query its index ∥ Query counts, BatchGetItem", (*SORTS, "list, ascending by name")),
    Row("list, one page of 200", "as the first; a bookmark is left"),
    Row("list, with quick filters", "as the first: the counts have them"),
    Row("list of a status", "Query `by_status` ∥ Query counts, BatchGetItem"),
    Row(
        "list of a status, by name",
        "Query `by_name`, filtered; of a rare status all its records, sorted",
        ("list of a rare status by name", "list of a frequent status by name"),
    ),
    Row("list of a month", "Query `by_created` ∥ counts, then COUNT of the month's keys"),
    Row("list of a month, with quick filters", "likewise, COUNT on `by_status` for each status"),
    Row("list of a month by name", "likewise; then Query `by_name`, filtered, or all its records, sorted"),
    Row("list, deleted ones included", "two Queries of `by_created` ∥ Query counts"),
    Row("list of the deleted ones", "Query `by_created` ∥ Query counts"),
    Row("the next page of a walk by offset", "bookmark ∥ counts, Query from there; a bookmark is left"),
    Row("a far jump, the first", "counts, COUNT of keys from the nearer end; Query; fences are left"),
    Row("a far jump, between fences", "counts ∥ fences, COUNT of keys from the nearest; Query"),
    Row("a far jump by name, the first", "as the first, and the newest update; BatchGetItem"),
    Row("a far jump by name, between fences", "likewise; BatchGetItem"),
    Row("list of a month between fences", "counts ∥ fences, COUNT of keys from the nearest; Query"),
    Row("search, the first of an owner", "counts, Query `directory` in parallel ranges, BatchGetItem"),
    Row("search, warm", "Query `by_updated` since the last one ∥ tombstones ∥ counts, BatchGetItem"),
)


def written(readme: str) -> str:
    """The README with the table as it must be."""
    before, _, rest = readme.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"README.md lacks the line {BEGIN.strip()} or {END.strip()}")
    return before + BEGIN + "\n" + table() + "\n" + END + after


def table() -> str:
    measured: Mapping[str, Any] = json.loads(RESULTS.read_text())["sizes"]
    sizes = [each["operations"] for _, each in sorted(measured.items(), key=lambda size: int(size[0]))]
    prices: Mapping[str, float] = json.loads(PRICES.read_text())["dollars_per_million"]
    lines = ["| operation | requests | read units | write units | $ per million |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *(_line(row, sizes, prices) for row in ROWS), "", _caption(measured)]) + "\n"


def _line(row: Row, sizes: Iterable[Mapping[str, Operation]], prices: Mapping[str, float]) -> str:
    figures = [row.said, "", ""]
    if row.operations:
        of_sizes = [[each[name] for name in row.operations] for each in sizes]
        reads = [max(operation["read_units"] for operation in each) for each in of_sizes]
        writes = [max(operation["write_units"] for operation in each) for each in of_sizes]
        dollars = reads[-1] * prices["read_request_units"] + writes[-1] * prices["write_request_units"]
        figures = [_each(reads), _each(writes) + _parts(of_sizes[-1][0]), f"{dollars:,.2f}"]
    return "| " + " | ".join([row.name, row.requests, *figures]) + " |"


def _each(figures: list[float]) -> str:
    """A figure of each size, or only one if they are the same."""
    texts = [f"{figure:,g}" if figure else "" for figure in figures]
    return texts[0] if len(set(texts)) == 1 else " / ".join(text or "0" for text in texts)


def _parts(operation: Operation) -> str:
    """What of a write is the table's."""
    parts = dict(operation["written"])
    of_table = parts.pop("table", 0)
    return f": {of_table:,g} and {sum(parts.values()):,g} of indexes" if parts and of_table else ""


def _caption(measured: Mapping[str, Any]) -> str:
    sizes = sorted(map(int, measured))
    prices = json.loads(PRICES.read_text())
    results = json.loads(RESULTS.read_text())
    numbers = " / ".join(f"{size:,}" for size in sizes)
    gateway = prices["dollars_per_million"]["http_api_requests"]
    text = (
        f"Measured on {results['date']} with {numbers} customers of one owner: so many figures where they differ. The "
        f"price is that of the last, of DynamoDB's requests alone ({prices['region']}, on demand, {prices['as_of']}, "
        f"list prices); API Gateway's HTTP API adds ${gateway:.2f}, and Lambda its requests and time."
    )
    return "\n".join(_wrapped(text))


def _wrapped(text: str) -> Iterator[str]:
    line = ""
    for word in text.split():
        if len(line) + len(word) >= LINE_CHARACTERS:
            yield line
            line = ""
        line += f" {word}" if line else word
    yield line
