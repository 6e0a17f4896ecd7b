"""What other services tell of one customer, in messages that take record_activity through each of its calls."""

from typing import Any

from tests.handlers import message
from tools.event_schemas import example


def messages(id: str) -> list[dict[str, Any]]:
    """A campaign, the customer's enrolment in it, a call, and that this call was made earlier than was told first."""
    call = example("CallUpserted")
    earlier = {"dispatched_at": call["scheduled_at"], "updated_at": "2026-03-01T00:00:00Z"}
    details = [
        ("CampaignUpserted", example("CampaignUpserted")),
        ("TargetUpserted", example("TargetUpserted")),
        ("CallUpserted", call),
        ("CallUpserted", call | earlier),
    ]
    return [
        message(detail_type, {**detail, "customer": id}, str(number))
        for number, (detail_type, detail) in enumerate(details)
    ]
