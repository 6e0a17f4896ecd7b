"""Ring 1: handlers over moto's DynamoDB and S3, with the table of template.yaml."""

from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import boto3
import pytest
from moto import mock_aws

from customers.dynamodb import Table
from customers.observability import logger
from customers.repository import Repository
from tests.documented import assert_documented
from tests.handlers import ENVIRONMENT, Api
from tools.table import create_table

FAKE_ACCOUNT = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


@pytest.fixture(scope="session")
def loaded() -> Api:
    """The handlers as one cold start leaves them; moto answers them whenever it is on."""
    environment = {**ENVIRONMENT, **FAKE_ACCOUNT}
    del environment["AWS_ENDPOINT_URL_DYNAMODB"]
    return Api(environment, assert_documented)


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in FAKE_ACCOUNT.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        client = boto3.client("dynamodb")
        create_table(client, ENVIRONMENT["TABLE_NAME"])
        yield client


@pytest.fixture
def api(dynamodb: Any, loaded: Api) -> Api:  # noqa: ARG001 - the table must be there
    loaded.app("create_customer").service.customers._registered_owners.clear()  # a new table knows no owner
    return loaded


@pytest.fixture
def bucket(dynamodb: Any) -> Any:  # noqa: ARG001 - moto must be on
    """The bucket of files, empty, as a resource of boto3."""
    s3: Any = boto3.resource("s3")
    return s3.create_bucket(Bucket=ENVIRONMENT["BUCKET_NAME"])


@pytest.fixture
def table(dynamodb: Any) -> Table:
    return Table(ENVIRONMENT["TABLE_NAME"], dynamodb)


@pytest.fixture
def repository(table: Table) -> Repository:
    return Repository(table, retention_days=30)


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """What the functions have written since: log lines and metrics."""
    lines = StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", lines)
    return lambda: lines.getvalue() + capsys.readouterr().out
