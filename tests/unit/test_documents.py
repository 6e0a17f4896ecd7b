"""What is generated in docs/ and in the README is up to date, and what is not is found."""

import json
from pathlib import Path

import pytest

from customers.events import DETAIL_TYPES
from tools import costs, documents, event_schemas, openapi

HELP = "python -m tools.documents"


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory where all documents have just been written."""
    monkeypatch.setattr(openapi, "DOCUMENT", tmp_path / "openapi.json")
    monkeypatch.setattr(event_schemas, "DIRECTORY", tmp_path / "events")
    (tmp_path / "README.md").write_text(costs.README.read_text())
    monkeypatch.setattr(costs, "README", tmp_path / "README.md")
    assert documents.main([]) is None
    return tmp_path


def test_the_checked_in_documents_are_what_models_and_routes_say() -> None:
    assert documents.main(["--check"]) is None


def test_there_is_one_document_of_the_api_and_one_of_each_type_of_event(docs: Path) -> None:
    written = {str(path.relative_to(docs)) for path in docs.rglob("*.json")}
    assert written == {"openapi.json", *(f"events/{name}.json" for name in DETAIL_TYPES)}


@pytest.mark.parametrize("name", ["openapi.json", "events/CallUpserted.json"])
def test_a_document_that_has_drifted_is_refused_by_its_name_until_it_is_written(docs: Path, name: str) -> None:
    content = json.loads((docs / name).read_text())
    (docs / name).write_text(json.dumps(content | {"title": "Something else"}))
    said = documents.main(["--check"]) or ""
    assert said.count(".json") == 1
    assert name in said
    assert HELP in said
    assert documents.main([]) is None
    assert documents.main(["--check"]) is None


def test_a_document_that_is_missing_is_refused(docs: Path) -> None:
    (docs / "events/MessageSent.json").unlink()
    assert "events/MessageSent.json" in str(documents.main(["--check"]))


def test_the_schema_of_a_type_that_is_no_more_is_refused_and_goes_with_the_next_writing(docs: Path) -> None:
    stray = docs / "events/FaxSent.json"
    stray.write_text("{}")
    said = str(documents.main(["--check"]))
    assert said.count(".json") == 1
    assert "events/FaxSent.json" in said
    assert documents.main([]) is None
    assert not stray.exists()


def test_a_check_writes_nothing(docs: Path) -> None:
    (docs / "openapi.json").write_text("{}")
    documents.main(["--check"])
    assert (docs / "openapi.json").read_text() == "{}"


def test_anything_else_is_answered_with_the_usage(docs: Path) -> None:
    (docs / "openapi.json").unlink()
    assert documents.main(["--chekc"]) == f"usage: {HELP} [--check]"
    assert not (docs / "openapi.json").exists()


def test_a_cost_that_is_not_what_was_measured_is_refused_and_written_anew(docs: Path) -> None:
    right = (docs / "README.md").read_text()
    assert "| get | GetItem | 1 |" in right
    (docs / "README.md").write_text(right.replace("| get | GetItem | 1 |", "| get | GetItem | 2 |"))
    assert "README.md" in str(documents.main(["--check"]))
    assert documents.main([]) is None
    assert (docs / "README.md").read_text() == right


def test_what_stands_around_the_table_of_costs_is_left_as_it_is(docs: Path) -> None:
    (docs / "README.md").write_text(f"Before\n{costs.BEGIN}{costs.END}After\n")
    assert documents.main([]) is None
    written = (docs / "README.md").read_text()
    assert written.startswith(f"Before\n{costs.BEGIN}")
    assert written.endswith(f"{costs.END}After\n")


def test_a_readme_without_a_place_for_the_costs_is_refused() -> None:
    with pytest.raises(ValueError, match="Until here"):
        costs.written("# Customers\n")


def test_every_operation_that_is_measured_has_a_row() -> None:
    sizes = json.loads(costs.RESULTS.read_text())["sizes"].values()
    shown = {name for row in costs.ROWS for name in row.operations}
    assert [set(size["operations"]) for size in sizes] == [shown] * len(sizes)


def test_a_price_is_that_of_the_units() -> None:
    """16 write units at $0.625 a million, whatever the price is called."""
    prices = json.loads(costs.PRICES.read_text())["dollars_per_million"]
    (created,) = (line for line in costs.table().splitlines() if line.startswith("| create |"))
    cells = [cell.strip() for cell in created.split("|")]
    units = int(cells[4].partition(":")[0])
    assert cells[5] == f"{units * prices['write_request_units']:,.2f}"
