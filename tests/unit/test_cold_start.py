"""What a function loads before its first request, in a process of its own."""

import os
import subprocess
import sys

import pytest

from tests.handlers import ENVIRONMENT, FUNCTIONS, OPERATIONS
from tests.unit.conftest import FAKE_ACCOUNT
from tools.template import ROOT

HEAVY = {
    "aws_lambda_powertools.event_handler",
    "aws_xray_sdk",
    "boto3",
    "cryptography",
    "email_validator",
    "joserfc",
    "python_multipart",
}


def cold_start(function: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", f"import functions.{function}.app, sys; print(*sys.modules)"],
        env={"PATH": os.environ["PATH"], **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_cold_start_loads_nothing_that_its_request_may_not_need(function: str) -> None:
    started = cold_start(function, {**ENVIRONMENT, **FAKE_ACCOUNT})
    assert not started.stderr
    assert not HEAVY & set(started.stdout.split())


@pytest.mark.parametrize(
    ("function", "name", "value"),
    [
        ("get_customer", "TABLE_NAME", ""),
        ("get_customer", "RETENTION_DAYS", "soon"),
        ("get_customer", "JWT_SECRET", "guessable"),
        ("get_customer", "JWT_SECRET", ""),
        ("get_customer", "JWKS_URL", "ftp://x"),
        ("record_activity", "TABLE_NAME", ""),
        ("record_activity", "DEAD_LETTER_QUEUE_URL", ""),
        ("record_activity", "DEAD_LETTER_QUEUE_URL", "somewhere"),
        ("purge_customers", "TABLE_NAME", ""),
        ("purge_customers", "RETENTION_DAYS", "soon"),
        ("import_customers", "MAX_IMPORT_ROWS", "5000"),
        ("create_import", "BUCKET_NAME", ""),
        ("split_import", "TABLE_NAME", ""),
        ("split_import", "BUCKET_NAME", ""),
        ("create_export", "EXPORT_FUNCTION", ""),
    ],
)
def test_a_missing_or_weak_setting_fails_the_cold_start_with_its_name(function: str, name: str, value: str) -> None:
    started = cold_start(function, {**ENVIRONMENT, **FAKE_ACCOUNT, name: value})
    assert started.returncode != 0
    (message,) = [line for line in started.stderr.splitlines() if line.startswith("customers.settings.SettingsError")]
    assert name in message
    assert not value or value not in message


@pytest.mark.parametrize("function", sorted({*FUNCTIONS} - {*OPERATIONS}))
def test_a_function_without_callers_starts_without_a_way_to_know_them(function: str) -> None:
    started = cold_start(function, {**ENVIRONMENT, **FAKE_ACCOUNT, "JWT_SECRET": ""})
    assert not started.stderr
    assert "customers.auth" not in started.stdout.split()
