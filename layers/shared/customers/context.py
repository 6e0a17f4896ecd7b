"""What is used of the context that Lambda hands to a function beside its event."""

from typing import Protocol


class Context(Protocol):
    @property
    def aws_request_id(self) -> str: ...

    def get_remaining_time_in_millis(self) -> int: ...
