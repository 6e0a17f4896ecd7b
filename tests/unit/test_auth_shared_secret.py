"""The HS256 secret, from the service that its ARN names."""

from collections.abc import Callable, Iterator

import boto3
import pytest
from moto import mock_aws

from customers.auth import Authenticator
from customers.auth.shared_secret import read_secret
from customers.settings import AuthSettings, SettingsError

SECRET = "a secret of this test, 32 bytes +"
REGION = "eu-central-1"  # not the region of the process: the ARN names the secret's own


@pytest.fixture(autouse=True)
def _aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield


def in_parameter_store(value: str, name: str = "/customers/jwt") -> str:
    ssm = boto3.client("ssm", region_name=REGION)
    ssm.put_parameter(Name=name, Value=value, Type="SecureString")
    return str(ssm.get_parameter(Name=name)["Parameter"]["ARN"])


def in_secrets_manager(value: str) -> str:
    return str(boto3.client("secretsmanager", region_name=REGION).create_secret(Name="jwt", SecretString=value)["ARN"])


def in_secrets_manager_as_bytes(value: str) -> str:
    manager = boto3.client("secretsmanager", region_name=REGION)
    return str(manager.create_secret(Name="binary", SecretBinary=value.encode())["ARN"])


@pytest.mark.parametrize("store", [in_parameter_store, in_secrets_manager])
def test_the_secret_is_read_from_where_its_arn_says(store: Callable[[str], str]) -> None:
    assert read_secret(store(SECRET + "\n")) == SECRET.encode()


@pytest.mark.parametrize("store", [in_parameter_store, in_secrets_manager])
def test_a_short_secret_fails_the_cold_start_and_names_its_variable(store: Callable[[str], str]) -> None:
    settings = AuthSettings(jwt_secret_arn=store(SECRET[:31]))
    with pytest.raises(SettingsError, match="JWT_SECRET_ARN: the secret is shorter than 32 bytes") as caught:
        Authenticator(settings, lambda _: None)
    assert SECRET[:31] not in str(caught.value)


def test_a_secret_that_is_not_text_fails_the_cold_start() -> None:
    with pytest.raises(SettingsError, match="JWT_SECRET_ARN"):
        read_secret(in_secrets_manager_as_bytes(SECRET))


@pytest.mark.parametrize(
    "resource", ["ssm:eu-central-1:123456789012:parameter/none", "secretsmanager:eu-central-1:1:secret:none"]
)
def test_a_missing_secret_fails_the_cold_start_and_names_its_variable(resource: str) -> None:
    with pytest.raises(SettingsError, match="JWT_SECRET_ARN: the secret could not be read"):
        read_secret(f"arn:aws:{resource}")
