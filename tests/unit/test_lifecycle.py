"""What a function on Lambda does once it is set up, and again when a snapshot of it has been restored."""

import gc
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import snapshot_restore_py  # type: ignore[import-untyped]
from botocore.exceptions import EndpointConnectionError

from customers import lifecycle
from customers.api import Service
from customers.dynamodb import Table
from customers.files import Files
from tests.handlers import ENVIRONMENT
from tests.unit.conftest import FAKE_ACCOUNT
from tools.template import ROOT

SECRETS = ("for-local-use-only-never-deploy-me", "another-secret-of-thirty-two-bytes")


@pytest.fixture
def on_lambda(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Callable[[], Any]]]:
    """What the runtime calls after a restore."""
    hooks: list[Callable[[], Any]] = []
    monkeypatch.setattr(lifecycle, "IS_LAMBDA", True)
    monkeypatch.setattr(snapshot_restore_py, "register_after_restore", hooks.append)
    yield hooks
    gc.unfreeze()


def restore(hooks: list[Callable[[], Any]]) -> None:
    for hook in hooks:
        hook()


def test_a_start_ends_with_the_collector_on_and_nothing_of_it_in_its_way(on_lambda: list[Callable[[], Any]]) -> None:
    gc.disable()
    lifecycle.ready(lambda: None)
    assert gc.isenabled()
    assert gc.get_freeze_count()
    assert on_lambda


def test_off_lambda_nothing_is_connected_or_frozen() -> None:
    lifecycle.ready(lambda: pytest.fail("connected"))
    assert not gc.get_freeze_count()


def test_two_functions_of_one_snapshot_pause_differently(on_lambda: list[Callable[[], Any]]) -> None:
    lifecycle.ready(lambda: None)
    snapshot, drawn = random.getstate(), set[float]()
    for _ in range(2):
        random.setstate(snapshot)
        restore(on_lambda)
        drawn.add(random.random())  # noqa: S311 - what pauses are drawn from
    assert len(drawn) == 2


def test_after_a_restore_the_table_has_new_credentials_and_connections(
    dynamodb: Any, on_lambda: list[Callable[[], Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Table(ENVIRONMENT["TABLE_NAME"])
    lifecycle.ready(table.connect, table.renew)
    dynamodb.put_item(TableName=table.name, Item={"pk": {"S": "a"}, "sk": {"S": "b"}})
    signed: list[str] = []
    before = table._client
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "afterrestore")
    restore(on_lambda)
    assert table._client is not before
    events: Any = table._client.meta.events
    events.register_first("before-send.dynamodb", lambda request, **_: signed.append(str(request.headers)))
    assert table.get({"pk": "a", "sk": "b"}) == {"pk": "a", "sk": "b"}
    assert "afterrestore" in signed[0]


@pytest.mark.usefixtures("dynamodb")
def test_after_a_restore_the_bucket_has_a_new_client(on_lambda: list[Callable[[], Any]]) -> None:
    files = Files("bucket")
    before = files._client
    restore(on_lambda)
    assert files._client is not before


@pytest.mark.usefixtures("dynamodb")
def test_after_a_restore_callers_are_known_by_what_holds_now(
    on_lambda: list[Callable[[], Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**ENVIRONMENT, "JWT_SECRET": SECRETS[0]}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL_DYNAMODB")
    service = Service()
    before = service._authenticator
    monkeypatch.setenv("JWT_SECRET", SECRETS[1])
    restore(on_lambda)
    assert service._authenticator is not before


@pytest.mark.usefixtures("dynamodb")
def test_no_owner_is_remembered_in_a_snapshot(api: Any) -> None:
    assert not api.app("create_customer").service.customers._registered_owners


def test_a_database_that_is_out_of_reach_neither_fails_nor_delays_a_start(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[object] = []

    def refuse(**_: object) -> None:
        tried.append(1)
        raise EndpointConnectionError(endpoint_url="x")

    monkeypatch.setattr("time.sleep", lambda _: None)
    ours = Table(table.name)
    events: Any = ours._client.meta.events
    events.register_last("before-send.dynamodb", refuse)
    ours.connect()
    assert len(tried) == 1
    assert ours._remaining() > 1_000_000  # what comes next has its own time


def test_a_cold_start_on_lambda_connects_and_ends_well_without_a_network() -> None:
    program = "import functions.get_customer.app, gc; print(gc.isenabled(), gc.get_freeze_count() > 0)"
    environment = {**ENVIRONMENT, **FAKE_ACCOUNT, "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1"}
    environment["AWS_ENDPOINT_URL_DYNAMODB"] = "http://127.0.0.1:1"
    started = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", program],
        env={"PATH": os.environ["PATH"], **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(started.stdout.lower().replace(" ", ",").join("[]")) == [True, True]
    assert not started.stderr
