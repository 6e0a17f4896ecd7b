"""Ring 2: a real DynamoDB engine over HTTP: MiniStack's, unless DYNAMODB_TEST_ENDPOINT names another."""

import os
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import boto3
import pytest

from tests.engine.ledger import Ledger
from tests.handlers import ENVIRONMENT, Api
from tools.engine import started
from tools.table import ACCOUNT, create_table


@pytest.fixture(scope="session")
def endpoint(request: pytest.FixtureRequest) -> str:
    """Where the engine listens."""
    return os.environ.get("DYNAMODB_TEST_ENDPOINT") or str(request.getfixturevalue("ministack"))


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """DynamoDB and S3. Each process of the tests (a worker of xdist) starts a MiniStack and stops it."""
    with started(tmp_path_factory.mktemp("ministack")) as url:
        yield url


@pytest.fixture(scope="session")
def engine(endpoint: str) -> dict[str, str]:
    """The environment of a function that reaches the engine; only AWS gets the developer's own credentials."""
    account = {} if ".amazonaws.com" in endpoint else ACCOUNT
    return {"AWS_ENDPOINT_URL_DYNAMODB": endpoint, **account}


@pytest.fixture(scope="session")
def client(engine: dict[str, str]) -> Any:
    return boto3.client(
        "dynamodb",
        endpoint_url=engine["AWS_ENDPOINT_URL_DYNAMODB"],
        region_name=engine.get("AWS_DEFAULT_REGION"),
        aws_access_key_id=engine.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=engine.get("AWS_SECRET_ACCESS_KEY"),
    )


@pytest.fixture(scope="session")
def bucket(ministack: str) -> Iterator[Any]:
    """A bucket, as a resource of boto3."""
    s3: Any = boto3.resource(
        "s3",
        endpoint_url=ministack,
        region_name=ACCOUNT["AWS_DEFAULT_REGION"],
        aws_access_key_id=ACCOUNT["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=ACCOUNT["AWS_SECRET_ACCESS_KEY"],
    )
    bucket = s3.create_bucket(Bucket=f"customers-test-{uuid4()}")
    yield bucket
    bucket.objects.delete()
    bucket.delete()


@pytest.fixture(scope="session")
def new_table(client: Any) -> Iterator[Callable[[], str]]:
    """Makes tables, empty and ready, that are gone after the tests."""
    names = list[str]()

    def make() -> str:
        names.append(f"customers-test-{uuid4()}")
        create_table(client, names[-1])
        return names[-1]

    yield make
    for name in names:
        client.delete_table(TableName=name)


@pytest.fixture(scope="module")
def api(engine: dict[str, str], new_table: Callable[[], str]) -> Api:
    """The handlers over a table of this module's own."""
    return Api({**ENVIRONMENT, **engine, "TABLE_NAME": new_table()})


@pytest.fixture(scope="module")
def api_with_files(engine: dict[str, str], ministack: str, bucket: Any, new_table: Callable[[], str]) -> Api:
    """Likewise, with a bucket."""
    where = {"TABLE_NAME": new_table(), "BUCKET_NAME": bucket.name, "AWS_ENDPOINT_URL_S3": ministack}
    return Api({**ENVIRONMENT, **ACCOUNT, **engine, **where})


@pytest.fixture
def ledger(api: Api, client: Any) -> Ledger:
    ledger = Ledger(api, client)
    ledger.clear()
    return ledger
