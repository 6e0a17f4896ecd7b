"""`make table`: what `sam local invoke` finds in the engine that it is pointed to."""

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.handlers import ENVIRONMENT, Api, event
from tools import table


@pytest.fixture
def made(endpoint: str, client: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "argv", ["make table", "--endpoint", endpoint])
    assert table.main() == 0
    yield
    client.delete_table(TableName=ENVIRONMENT["TABLE_NAME"])


@pytest.mark.skipif("DYNAMODB_TEST_ENDPOINT" in os.environ, reason="a named engine may have a table of this name")
class TestMade:
    @pytest.mark.usefixtures("made")
    def test_the_recorded_events_find_their_customer_and_it_is_counted(self, engine: dict[str, str]) -> None:
        api = Api({**ENVIRONMENT, **engine})
        assert api.raw("get_customer", event("get_customer")).body["customer_id"] == table.EXAMPLE.customer_id
        assert api.raw("list_customers", event("list_customers")).body["meta"]["total"] == 1

    @pytest.mark.usefixtures("made")
    def test_a_table_that_is_there_is_left_as_it_is(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert table.main() == 1
        assert "No table was made" in capsys.readouterr().err


@pytest.mark.parametrize("endpoint", ["https://dynamodb.us-east-1.amazonaws.com", "http://10.0.0.1:8000", "8000"])
def test_an_engine_elsewhere_is_refused(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["make table", "--endpoint", endpoint])
    with pytest.raises(SystemExit, match="2"):
        table.main()
