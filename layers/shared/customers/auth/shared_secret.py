"""The HS256 secret, read from Secrets Manager or from SSM Parameter Store at cold start."""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from customers import aws
from customers.settings import MIN_HS256_SECRET_BYTES, SettingsError

CONNECT_SECONDS = 1
READ_SECONDS = 2
ATTEMPTS = 2  # the first included: Lambda gives a cold start 10 seconds in all


def read_secret(arn: str) -> bytes:
    """The secret that `arn` names, as plain text; white space around it is dropped, as around a variable.

    A secret that is replaced is seen by the next cold start. Raises `SettingsError`, which names JWT_SECRET_ARN.
    """
    service, region = arn.split(":")[2:4]
    retries = {"mode": "standard", "total_max_attempts": ATTEMPTS}
    limits: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, "read_timeout": READ_SECONDS, "retries": retries}
    try:
        if service == "ssm":
            ssm = aws.client("ssm", region=region, **limits)
            text: str = ssm.get_parameter(Name=arn, WithDecryption=True)["Parameter"]["Value"]
        else:
            manager = aws.client("secretsmanager", region=region, **limits)
            text = manager.get_secret_value(SecretId=arn).get("SecretString", "")
    except (BotoCoreError, ClientError) as error:
        raise SettingsError(f"JWT_SECRET_ARN: the secret could not be read ({type(error).__name__})") from error
    secret = text.strip().encode()
    if len(secret) < MIN_HS256_SECRET_BYTES:
        raise SettingsError(f"JWT_SECRET_ARN: the secret is shorter than {MIN_HS256_SECRET_BYTES} bytes")
    return secret
