"""What is generated in docs/ is up to date, and what is not is found."""

import json
from pathlib import Path

import pytest

from customers.events import DETAIL_TYPES
from tools import documents, event_schemas, openapi

HELP = "python -m tools.documents"


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory where all documents have just been written."""
    monkeypatch.setattr(openapi, "DOCUMENT", tmp_path / "openapi.json")
    monkeypatch.setattr(event_schemas, "DIRECTORY", tmp_path / "events")
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
