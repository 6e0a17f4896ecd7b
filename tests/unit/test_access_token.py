"""`make token`: a token is as the stack's parameters say, so that its functions, deployed with them, believe it."""

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from tests.handlers import Answer, Api
from tools import access_token, template
from tools.stack import Stack, StackError

SECRET = "a secret of this test, 32 bytes +"
LEEWAY_SECONDS = 30
OTHER_POLICY = {
    "JwtIssuer": "https://id.example.com/",
    "JwtAudience": "customers",
    "JwtOwnerClaim": "tenant",
    "JwtAdminClaim": "groups",
    "JwtAdminValue": "operators",
}

type Run = Callable[..., tuple[int, str, str]]


def in_secrets_manager(secret: str) -> str:
    return str(boto3.client("secretsmanager").create_secret(Name="jwt", SecretString=secret)["ARN"])


def in_parameter_store(secret: str) -> str:
    ssm = boto3.client("ssm")
    ssm.put_parameter(Name="/customers/jwt", Value=secret, Type="SecureString")
    return str(ssm.get_parameter(Name="/customers/jwt")["Parameter"]["ARN"])


def stack(**parameters: str) -> Stack:
    """One deployed with `parameters`, and otherwise the template's defaults."""
    defaults = {name: str(each.get("Default", "")) for name, each in template.load()["Parameters"].items()}
    return Stack(defaults | parameters, {"TableName": "customers"})


def functions(of: Stack, api: Api) -> Api:
    """The functions as that stack's variables make them."""
    variables = template.load()["Globals"]["Function"]["Environment"]["Variables"]
    refs = {name: value["Ref"] for name, value in variables.items() if isinstance(value, dict) and "Ref" in value}
    given = {name: of.parameters[ref] for name, ref in refs.items() if ref in of.parameters}
    return Api({**api.environment, "JWT_SECRET": "", **given})


def use(token: str, at: Api, operation: str = "list_customers", **request: Any) -> Answer:
    return at.call(operation, headers={"authorization": f"Bearer {token}"}, **request)


@pytest.fixture
def deployed(api: Api) -> Stack:  # noqa: ARG001 - in its account
    return stack(JwtSecretArn=in_secrets_manager(SECRET))


@pytest.fixture
def run(deployed: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setattr("tools.stack.chosen", lambda _: deployed)

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["make token", *arguments])
        capsys.readouterr()
        return access_token.main(), *capsys.readouterr()

    return command


@pytest.mark.parametrize("store", [in_secrets_manager, in_parameter_store])
def test_a_token_is_signed_with_the_secret_that_the_functions_read(api: Api, store: Callable[[str], str]) -> None:
    deployed = stack(JwtSecretArn=store(SECRET + "\n"))
    api.create("C-1", owner="ada")
    answer = use(access_token.issue(deployed, "ada"), functions(deployed, api))
    assert (answer.status, [each["customer_id"] for each in answer.body["data"]]) == (200, ["C-1"])


@pytest.mark.parametrize("admin", [False, True])
def test_a_token_follows_the_stacks_issuer_audience_and_claim_names(api: Api, deployed: Stack, *, admin: bool) -> None:
    other = stack(**{**deployed.parameters, **OTHER_POLICY})
    api.create("C-1", owner="ada")
    api.create("C-2", owner="bob")
    answer = use(access_token.issue(other, "ada", admin=admin), functions(other, api))
    assert answer.body["meta"]["total"] == (2 if admin else 1)


@pytest.mark.parametrize("name", ["JwtIssuer", "JwtAudience", "JwtOwnerClaim"])
def test_a_token_is_for_one_stacks_policy_only(api: Api, deployed: Stack, name: str) -> None:
    other = stack(**{**deployed.parameters, name: OTHER_POLICY[name]})
    assert use(access_token.issue(deployed, "ada"), functions(other, api)).status == 401


def test_a_token_is_an_administrators_only_if_that_is_asked_for(api: Api, deployed: Stack) -> None:
    api.create("C-1", owner="bob")
    at = functions(deployed, api)
    totals = [
        use(access_token.issue(deployed, "ada", admin=admin), at).body["meta"]["total"] for admin in (False, True)
    ]
    assert totals == [0, 1]


def test_a_token_may_do_everything_unless_scopes_are_named(api: Api, deployed: Stack) -> None:
    at, body = functions(deployed, api), {"customer_id": "C-1"}
    reader = access_token.issue(deployed, "ada", scopes="customers:read")
    assert [use(reader, at).status, use(reader, at, "create_customer", body=body).status] == [200, 403]
    assert use(access_token.issue(deployed, "ada"), at, "create_customer", body=body).status == 201


@pytest.mark.parametrize("scopes", ["", " "])
def test_a_token_for_no_scope_may_do_nothing(api: Api, deployed: Stack, scopes: str) -> None:
    assert use(access_token.issue(deployed, "ada", scopes=scopes), functions(deployed, api)).status == 403


def test_a_token_expires_after_its_hours(api: Api, deployed: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    at, token = functions(deployed, api), access_token.issue(deployed, "ada", hours=0.5)
    statuses = []
    for later in (1790, 1800 + LEEWAY_SECONDS):
        now = time.time() + later
        monkeypatch.setattr(at.app("list_customers").service._authenticator._tokens, "_clock", lambda now=now: now)
        statuses.append(use(token, at).status)
    assert statuses == [200, 401]


def test_a_stack_without_a_secret_is_told_apart() -> None:
    with pytest.raises(StackError, match="believes no HS256 token: it was deployed without JwtSecretArn"):
        access_token.issue(stack(), "ada")


def test_a_secret_that_cannot_be_read_is_a_sentence_about_it(dynamodb: Any) -> None:  # noqa: ARG001 - in its account
    gone = stack(JwtSecretArn="arn:aws:secretsmanager:us-east-1:123456789012:secret:gone")
    with pytest.raises(StackError, match="the secret could not be read"):
        access_token.issue(gone, "ada")


def test_the_command_prints_a_token_and_nothing_else(api: Api, deployed: Stack, run: Run) -> None:
    code, out, err = run("--owner", "ada", "--admin", "--scopes", "customers:read customers:write", "--hours", "1")
    assert (code, err, len(out.split())) == (0, "", 1)
    at = functions(deployed, api)
    assert use(out.strip(), at, "create_customer", body={"customer_id": "C-1"}).body["owner_id"] == "ada"
    assert use(out.strip(), at, "delete_customer", query="purge=true").status == 403


@pytest.mark.parametrize("owner", ["", "a#b"])
def test_the_command_asks_for_an_owner(run: Run, capsys: pytest.CaptureFixture[str], owner: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        run("--owner", owner)
    assert "make token OWNER=ada" in capsys.readouterr().err


def test_the_command_names_the_scopes_that_there_are_not(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run("--owner", "ada", "--scopes", "customers:read read customers:all")
    assert "there is no scope customers:all or read" in capsys.readouterr().err


def test_a_stack_that_believes_no_token_is_a_sentence_and_exit_code_1(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.stack.chosen", lambda name: stack() if name == "prod" else None)
    code, out, err = run("--stack", "prod", "--owner", "ada")
    assert (code, out) == (1, "")
    assert "JwtSecretArn" in err


@pytest.mark.parametrize("profile", [None, "nobody"])
def test_an_account_that_is_not_configured_is_a_stack_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, profile: str | None
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    if profile:
        monkeypatch.setenv("AWS_PROFILE", profile)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with pytest.raises(StackError, match="The stack prod cannot be read"):
        Stack.find("prod")
