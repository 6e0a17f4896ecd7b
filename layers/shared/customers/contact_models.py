"""What goes out about a customer's campaigns, calls and messages.

Apart from the other models, because most functions show none of it.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from customers import keys
from customers.models import ActivityType, AiLabel, CampaignStatus, CustomerOut, Model, TargetStage, Time, Uuid


class CustomerDetailStatsOut(Model):
    calls_total: int = 0
    calls_answered: int = 0
    calls_failed: int = 0
    calls_no_answer: int = 0
    calls_busy: int = 0
    calls_timeout: int = 0
    calls_voicemail: int = 0
    whatsapp_sent: int = 0
    emails_sent: int = 0
    last_contacted_at: Time | None = None

    @classmethod
    def of(cls, stats: Mapping[str, Any]) -> "CustomerDetailStatsOut":
        """The counters of a stats item; what it does not count is 0."""
        shown: dict[str, Any] = {name: int(stats.get(name, 0)) for name in STATISTICS}
        if last := stats.get("last_contact"):
            shown["last_contacted_at"] = keys.activity_time(last)
        return cls.model_construct(**shown)


STATISTICS = CustomerDetailStatsOut.model_fields.keys() - {"last_contacted_at"}  # counters of a stats item


class CustomerDetailCallOut(Model):
    id: Uuid
    attempt_no: int
    status: str
    outcome: str | None = None
    conv_id: str | None = None
    direction: str | None = None
    external_from: str | None = None
    external_to: str | None = None
    duration_seconds: float | None = None
    messages_count: int = 0
    call_successful: str | None = None
    call_summary_title: str | None = None
    transcript_summary: str | None = None
    customer_sentiment: str | None = None
    customer_sentiment_rationale: str | None = None
    agent_goal_result: str | None = None
    agent_goal_rationale: str | None = None
    follow_up_required: bool | None = None
    escalation_required: bool | None = None
    scheduled_at: Time
    dispatched_at: Time | None = None
    finished_at: Time | None = None
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, activity: Mapping[str, Any]) -> "CustomerDetailCallOut":
        return cls.model_construct(**_shown(cls, activity))


# The counter of a target that an activity of each type adds one to.
TARGET_COUNTERS: Mapping[str, str] = {"call": "calls_made", "whatsapp": "whatsapp_sent", "email": "email_sent"}


class CustomerDetailCampaignOut(Model):
    campaign_id: Uuid
    campaign_name: str
    campaign_status: CampaignStatus
    target_id: Uuid
    target_stage: TargetStage
    calls_made: int = 0
    whatsapp_sent: int = 0
    email_sent: int = 0
    ai_label: AiLabel
    ai_score: float | None = None
    ai_reason: str | None = None
    last_contacted_at: Time | None = None
    last_email_at: Time | None = None
    last_conv_id: str | None = None
    call_successful: str | None = None
    call_summary_title: str | None = None
    transcript_summary: str | None = None
    customer_sentiment: str | None = None
    agent_goal_result: str | None = None
    follow_up_required: bool | None = None
    escalation_required: bool | None = None
    analysis_updated_at: str | None = None

    @classmethod
    def of(cls, target: Mapping[str, Any], campaign: Mapping[str, Any]) -> "CustomerDetailCampaignOut":
        """An enrolment. Where both its campaign's service and the activity recorded here tell, the greater is shown."""
        enrolment = target["enrolment"]
        recorded = {name: target[name] for name in TARGET_COUNTERS.values() if name in target}
        for name, newest in (("last_contacted_at", "last_contact"), ("last_email_at", "last_email")):
            if newest in target:
                recorded[name] = keys.activity_time(target[newest])
        greater = {name: max(value, enrolment.get(name, value)) for name, value in recorded.items()}
        of_campaign = {"campaign_name": campaign["name"], "campaign_status": campaign["status"]}
        shown = _shown(cls, {**enrolment, **greater, **of_campaign})
        return cls.model_construct(**shown | {"target_stage": enrolment["stage"]})


class CustomerDetailOut(Model):
    customer: CustomerOut
    stats: CustomerDetailStatsOut
    last_call: CustomerDetailCallOut | None = None
    campaigns: list[CustomerDetailCampaignOut]

    @classmethod
    def of(
        cls, customer: CustomerOut, stats: Mapping[str, Any], campaigns: list[CustomerDetailCampaignOut]
    ) -> "CustomerDetailOut":
        shown: dict[str, Any] = {
            "customer": customer,
            "stats": CustomerDetailStatsOut.of(stats),
            "campaigns": campaigns,
        }
        if last_call := stats.get("last_call"):
            shown["last_call"] = CustomerDetailCallOut.of(last_call)
        return cls.model_construct(**shown)


class CampaignOut(Model):
    """A field without a value is left out."""

    id: Uuid
    name: str
    status: CampaignStatus
    agent_id: Uuid | None = None
    agent_name: str | None = None
    phone_number_id: str | None = None
    phone_number: str | None = None
    whatsapp_channel_id: str | None = None
    goal: str | None = None
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, campaign: Mapping[str, Any]) -> "CampaignOut":
        return cls.model_construct(**_shown(cls, campaign))


class MessageOut(Model):
    conv_id: str | None = None
    external_from: str | None = None
    external_to: str | None = None
    subject: str | None = None
    text: str | None = None
    sent_at: Time
    updated_at: Time | None = None


class ActivityOut(Model):
    """One entry of the timeline: `call` is there for a call, `message` for a WhatsApp message or an email."""

    type: ActivityType
    id: str
    occurred_at: Time
    status: str
    outcome: str | None = None
    campaign_id: Uuid | None = None
    call: CustomerDetailCallOut | None = None
    message: MessageOut | None = None

    @classmethod
    def of(cls, activity: Mapping[str, Any]) -> "ActivityOut":
        shown = _shown(cls, activity) | {"occurred_at": keys.activity_time(activity["sk"])}
        if activity["type"] == "call":
            shown["call"] = CustomerDetailCallOut.of(activity)
        else:
            shown["message"] = MessageOut.model_construct(**_shown(MessageOut, activity))
        return cls.model_construct(**shown)


def _shown(model: type[BaseModel], item: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an item that a model has, as JSON has them: DynamoDB knows decimal numbers only."""
    known = {name: item[name] for name in model.model_fields if name in item}
    return {name: _number(value) if isinstance(value, Decimal) else value for name, value in known.items()}


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)
