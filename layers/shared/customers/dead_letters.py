"""Where messages go that can never be understood: a letter says what is wrong with one, and quotes nothing of it."""

import json
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config

# Two attempts with the SDK's pause between them, of 1 s to connect and 2 s to read each.
SEND_MILLISECONDS = 8_000
_CONFIG = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})


class DeadLetters:
    def __init__(self, queue_url: str) -> None:
        self._queue_url = queue_url
        self._client: Any = None  # made when it is needed, which is hardly ever

    def send(self, letter: Mapping[str, Any]) -> None:
        """Raises botocore's `ClientError` and `BotoCoreError`."""
        self._client = self._client or boto3.client("sqs", config=_CONFIG)
        self._client.send_message(QueueUrl=self._queue_url, MessageBody=json.dumps(letter))
