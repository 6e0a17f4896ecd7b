"""What a function loads before its first request, in a process of its own."""

import os
import subprocess
import sys

import pytest

from tests.handlers import ENVIRONMENT, OPERATIONS
from tests.unit.conftest import FAKE_ACCOUNT
from tools.template import ROOT

HEAVY = {"cryptography", "joserfc", "aws_xray_sdk", "email_validator", "aws_lambda_powertools.event_handler"}


def cold_start(operation: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", f"import functions.{operation}.app, sys; print(*sys.modules)"],
        env={"PATH": os.environ["PATH"], **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_cold_start_loads_nothing_that_its_request_may_not_need(operation: str) -> None:
    started = cold_start(operation, {**ENVIRONMENT, **FAKE_ACCOUNT})
    assert not started.stderr
    assert not HEAVY & set(started.stdout.split())


@pytest.mark.parametrize(
    ("name", "value"),
    [("TABLE_NAME", ""), ("RETENTION_DAYS", "soon"), ("JWT_SECRET", "guessable"), ("JWT_SECRET", ""), ("JWKS_URL", "ftp://x")],
)  # fmt: skip
def test_a_missing_or_weak_setting_fails_the_cold_start_with_its_name(name: str, value: str) -> None:
    started = cold_start("get_customer", {**ENVIRONMENT, **FAKE_ACCOUNT, name: value})
    assert started.returncode != 0
    (message,) = [line for line in started.stderr.splitlines() if line.startswith("customers.settings.SettingsError")]
    assert name in message
    assert not value or value not in message
