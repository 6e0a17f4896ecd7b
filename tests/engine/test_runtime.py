"""Every function under Lambda's own runtime client, so that `sam local invoke` holds no surprise."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.documented import assert_documented
from tests.engine.runtime_api import WAIT_SECONDS, Function, running
from tests.handlers import FUNCTIONS, Api, event
from tools.table import put_example
from tools.template import ROOT

# Of the others 200. There is no function here that an export could be given to.
EXPECTED = {"create_customer": 201, "create_import": 201, "delete_customer": 204, "create_export": 500}
WITHOUT_HTTP: Mapping[str, Any] = {
    "purge_customers": {"dry_run": True, "purged": 0, "spared": 0, "failed": 0, "remaining": 0, "customers": []},
    "record_activity": {"batchItemFailures": []},
    "split_import": {"next": "finish", "chunks": []},  # there is no upload
    "import_chunk": {"done": True},
    "finish_import": {"state": "failed"},
    "export_customers": {"state": "completed"},  # and how many the others have left
}
TRIED_AGAIN = {  # by Lambda or the state machine, when a function could do nothing: its error then
    "purge_customers": "Unavailable",
    **dict.fromkeys(("split_import", "import_chunk", "finish_import"), "StepFailed"),
    "export_customers": "ExportFailed",
}


@pytest.fixture(scope="module")
def api(api_with_files: Api, ministack: str) -> Api:
    return Api({**api_with_files.environment, "AWS_ENDPOINT_URL_LAMBDA": ministack})


def assert_served(operation: str, response: Any) -> None:
    if operation in WITHOUT_HTTP:
        assert WITHOUT_HTTP[operation].items() <= response.items()
        return
    assert response["statusCode"] == EXPECTED.get(operation, 200), response
    assert_documented(operation, response)


@pytest.fixture(scope="module", params=FUNCTIONS)
def operation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def function(operation: str, api: Api, client: Any) -> Iterator[Function]:
    """The operation's function, started once for all of its tests."""
    with running(operation, api.environment, client.meta.region_name) as function:
        yield function


@pytest.fixture
def serve(operation: str, function: Function, api: Api, client: Any) -> Callable[[], Any]:
    """Sends the recorded event as it is, when the record that it names is in the table."""
    recorded = ROOT / f"events/{operation}.json"

    def send() -> Any:
        put_example(client, api.environment["TABLE_NAME"])
        return function.invoke(recorded.read_bytes())

    return send


def test_a_recorded_event_is_served_as_documented(operation: str, serve: Callable[[], Any]) -> None:
    assert_served(operation, serve())


def test_a_warm_function_serves_its_event_again(operation: str, function: Function, serve: Callable[[], Any]) -> None:
    for _ in range(2):
        assert_served(operation, serve())
    assert function.process.poll() is None


def test_a_deadline_too_near_is_told_before_it_comes(operation: str, function: Function) -> None:
    kind, answer = function.outcome((ROOT / f"events/{operation}.json").read_bytes(), milliseconds=1_000)
    if operation in TRIED_AGAIN:
        assert (kind, answer["errorType"]) == ("error", TRIED_AGAIN[operation])
    elif operation == "record_activity":
        waiting = [{"itemIdentifier": message["messageId"]} for message in event(operation)["Records"]]
        assert answer == {"batchItemFailures": waiting}
    else:
        assert (answer["statusCode"], answer["headers"]["Retry-After"]) == (503, "1"), answer
        assert_documented(operation, answer)
    assert function.process.poll() is None


def test_a_missing_setting_is_an_error_of_the_cold_start_that_names_it(operation: str, api: Api, client: Any) -> None:
    settings = {**api.environment, "TABLE_NAME": ""}
    with running(operation, settings, client.meta.region_name) as function:
        path, error = function.posted()
        assert (path, error["errorType"]) == ("/runtime/init/error", "SettingsError")
        assert error["errorMessage"].startswith("TABLE_NAME: ")
        assert function.process.wait(WAIT_SECONDS) == 1
