"""DynamoDB over `http.client`, signed by hand (AWS Signature Version 4): what a call must cost, and no more.

No retries, no time limits worth the name, no checks: a floor to compare with, not an example.
"""

import datetime
import hashlib
import hmac
import http.client
import os
from functools import cache
from urllib.parse import urlsplit

_REGION = os.environ["AWS_REGION"]
_ENDPOINT = urlsplit(os.environ.get("AWS_ENDPOINT_URL_DYNAMODB") or f"https://dynamodb.{_REGION}.amazonaws.com")
_SIGNED = "host;x-amz-date;x-amz-security-token;x-amz-target"
_connect = http.client.HTTPSConnection if _ENDPOINT.scheme == "https" else http.client.HTTPConnection
_connection = _connect(_ENDPOINT.netloc)


class DynamoDBError(Exception):
    pass


def call(operation: str, body: bytes) -> bytes:
    """The body of the response. Raises `DynamoDBError`."""
    _connection.request("POST", "/", body, _headers(f"DynamoDB_20120810.{operation}", body))
    response = _connection.getresponse()
    answer = response.read()
    if response.status != http.client.OK:
        raise DynamoDBError(answer)
    return answer


def _headers(target: str, body: bytes) -> dict[str, str]:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    token, scope = os.environ.get("AWS_SESSION_TOKEN", ""), f"{now[:8]}/{_REGION}/dynamodb/aws4_request"
    signed = f"host:{_ENDPOINT.netloc}\nx-amz-date:{now}\nx-amz-security-token:{token}\nx-amz-target:{target}\n"
    request = f"POST\n/\n\n{signed}\n{_SIGNED}\n{hashlib.sha256(body).hexdigest()}"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.digest(_signing_key(now[:8]), text.encode(), "sha256").hex()
    credential = f"Credential={os.environ['AWS_ACCESS_KEY_ID']}/{scope}"
    return {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Date": now,
        "X-Amz-Security-Token": token,
        "X-Amz-Target": target,
        "Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={_SIGNED}, Signature={signature}",
    }


@cache
def _signing_key(date: str) -> bytes:
    key = b"AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"].encode()
    for part in (date, _REGION, "dynamodb", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
