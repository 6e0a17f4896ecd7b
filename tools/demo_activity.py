"""What happens to the demo customers: campaigns, calls and messages, as other services tell of them.

Told again, also at a later time, it is the same calls and messages: nothing becomes more.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import chain
from random import Random
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from customers import keys
from customers.dynamodb import Table
from customers.events import CallUpserted, Detail, TargetUpserted
from customers.models import Customer
from tools.demo import PHONES, chance_of

MOST_SECONDS = 600  # of a call
CONTACTED = {"ada": 36, "grace": 9}  # of how many customers, the newest, something is told

type Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Campaign:
    name: str
    status: str
    goal: str
    agent: str
    number: str  # that it calls and writes from
    months: int  # since it was made

    @property
    def id(self) -> str:
        return _id(self.name)


@dataclass(frozen=True, slots=True)
class Conversation:
    """What an analysis says of a call that was answered, in the words of the events, and where it leads."""

    call_summary_title: str
    transcript_summary: str
    customer_sentiment: str
    customer_sentiment_rationale: str
    agent_goal_result: str
    agent_goal_rationale: str
    ai_label: str
    ai_score: float
    ai_reason: str
    stage: str
    follow_up_required: bool = False
    escalation_required: bool = False
    call_successful: str = "success"

    def of(self, event: type[Detail]) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name in event.model_fields}


CAMPAIGNS = (
    Campaign("Welcome call", "running", "Greet new customers, learn what they need", "Iris", PHONES[1].format(70), 17),
    Campaign("Yearly renewal", "running", "Renew the contract for another year", "Noah", PHONES[2].format(71), 11),
    Campaign("New price list", "done", "Explain the new prices before they apply", "Iris", PHONES[1].format(72), 6),
    Campaign("We miss you", "paused", "Win back customers who have left", "Noah", PHONES[3].format(73), 4),
    Campaign("Winter survey", "draft", "Ask what should become better next year", "Iris", PHONES[1].format(74), 2),
)
CONVERSATIONS = (
    Conversation(
        "Renews for a year",
        "Is content with the service and renews for a year.\nAsks for the invoice by email.",
        "positive",
        "Praised the delivery of last month",
        "success",
        "Agreed to renew",
        "positive",
        0.93,
        "Said yes",
        "succeeded",
    ),
    Conversation(
        "Wants an offer for a larger plan",
        "The team has grown from 4 to 11 people.\nWants an offer for the larger plan and decides this month.",
        "positive",
        "Asked for details and prices",
        "partial",
        "No decision before there is an offer",
        "positive",
        0.81,
        "Needs more seats soon",
        "in_progress",
        follow_up_required=True,
    ),
    Conversation(
        "Is in a meeting",
        "Could not talk, and asks to be called back in the afternoon.",
        "neutral",
        "Short, but polite",
        "failure",
        "There was no time to talk about it",
        "neutral",
        0.5,
        "Nothing is known yet",
        "in_progress",
        follow_up_required=True,
        call_successful="failure",
    ),
    Conversation(
        "Finds the new prices too high",
        "Compares with an offer that is 15% lower.\nWould stay if the old price held for another year.",
        "negative",
        "Disappointed by the letter about the prices",
        "partial",
        "Stays for now, if the price is looked at again",
        "negative",
        0.34,
        "Has another offer at hand",
        "in_progress",
        follow_up_required=True,
    ),
    Conversation(
        "Complains about two late deliveries",
        "Two of the last three deliveries came late, and nobody has called back.\nWants to hear from a manager.",
        "negative",
        "Upset that nobody has called back",
        "failure",
        "The complaint comes first",
        "negative",
        0.12,
        "Thinks about leaving",
        "failed",
        follow_up_required=True,
        escalation_required=True,
    ),
    Conversation(
        "All is well",
        "Everything works and no help is needed.\nWould rather be written to than called.",
        "neutral",
        "Friendly and brief",
        "success",
        "All questions were answered",
        "neutral",
        0.62,
        "Content, without plans",
        "succeeded",
    ),
)
UNANSWERED = ("no_answer", "busy", "voicemail", "timeout", "failed")
WHATSAPP = (
    "Thank you for your time today. I am here if any question is left.",
    "We could not reach you by phone. When would a call suit you?",
    "Here is the link to your documents, as promised.",
)
EMAILS = {
    "Our conversation today": "In short, what we have talked about and what happens next.",
    "Your offer": "As promised on the phone: the offer, valid for 30 days.",
    "Sorry that we missed you": "We have tried to call you. Choose a time that suits you, and we call again.",
}


def events(table: Table, now: datetime) -> list[Event]:
    """All that is told until `now`: of the campaigns, and of each owner's newest demo customers, deleted or not."""
    newest = [customer for owner_id, number in CONTACTED.items() for customer in _customers(table, owner_id)[:number]]
    stories = (_story(customer, now) for customer in newest)
    return [*(_campaign(campaign, now) for campaign in CAMPAIGNS), *chain.from_iterable(stories)]


def _customers(table: Table, owner_id: str) -> list[Customer]:
    """The owner's demo customers, the newest first."""
    found = list[Customer]()
    for state in ("live", "deleted"):
        pages = table.pages(
            IndexName=keys.BY_CREATED.name,
            KeyConditionExpression="owner_id = :owner AND #state = :state",
            ExpressionAttributeNames={"#state": "state"},
            values={":owner": owner_id, ":state": state},
        )
        found += [Customer.from_item(item) for page in pages for item in page.items]
    of_demo = (customer for customer in found if customer.customer_id.startswith("DEMO-"))
    return sorted(of_demo, key=lambda customer: customer.created_at, reverse=True)


def _campaign(campaign: Campaign, now: datetime) -> Event:
    made_at = _made_at(campaign, now)
    return _event(
        "CampaignUpserted",
        id=campaign.id,
        name=campaign.name,
        status=campaign.status,
        agent_id=_id(campaign.agent),
        agent_name=campaign.agent,
        phone_number_id=f"number-{campaign.number[-2:]}",
        phone_number=campaign.number,
        whatsapp_channel_id=f"channel-{campaign.number[-2:]}",
        goal=campaign.goal,
        created_at=made_at,
        updated_at=made_at + (now - made_at) / 2,
    )


def _made_at(campaign: Campaign, now: datetime) -> datetime:
    return now - timedelta(days=30 * campaign.months)


@dataclass(frozen=True, slots=True)
class Life:
    """A customer's time with a campaign: from when both were there to the customer's deletion, or until now."""

    customer: Customer
    campaign: Campaign
    began: datetime
    ended: datetime
    chance: Random

    def id(self, of: object) -> str:
        """The same each time it is told."""
        return _id(f"{self.customer.owner_id} {self.customer.customer_id} {self.campaign.name} {of}")

    def allows(self, contact: str) -> bool:
        address = self.customer.email if contact == "email" else self.customer.phone
        return self.campaign.status != "draft" and address is not None

    def moments(self, number: int) -> list[datetime]:
        return sorted(self.began + (self.ended - self.began) * self.chance.random() for _ in range(number))

    def after(self, moment: datetime, seconds: int) -> datetime:
        """So long after a moment, but never after the end."""
        return min(moment + timedelta(seconds=seconds), self.ended)


def _story(customer: Customer, now: datetime) -> Iterator[Event]:
    chance = chance_of(f"{customer.owner_id} {customer.customer_id} story")
    created_at = datetime.fromisoformat(customer.created_at)
    ended = datetime.fromisoformat(customer.deleted_at) if customer.deleted_at else now
    for place, campaign in enumerate(chance.sample(CAMPAIGNS, chance.choice((1, 2, 2, 3)))):
        life = Life(customer, campaign, max(created_at, _made_at(campaign, now)), ended, chance)
        yield from _enrolment(life, given_up=place > 0 and chance.random() < 1 / 3)


def _enrolment(life: Life, *, given_up: bool) -> Iterator[Event]:
    """Calls until one is answered, then messages, and what the campaign makes of it."""
    chance, conversation = life.chance, life.chance.choice(CONVERSATIONS)
    calls = [*chance.sample(UNANSWERED, chance.randrange(4)), *([] if given_up else ["answered"])]
    messages = chance.sample(("email", "whatsapp"), chance.randrange(3))
    contacts = [contact for contact in (*calls, *messages) if life.allows(contact)]
    enrolled_at, *moments = life.moments(1 + len(contacts))
    target = {"stage": "new" if not contacts else "failed" if given_up else "in_progress"}
    for number, (contact, moment) in enumerate(zip(contacts, moments, strict=True), 1):
        if contact in messages:
            yield _message(life, contact, moment)
        else:
            call = _call(life, number, contact, conversation, moment)
            yield call
            if contact == "answered":
                heard = {"last_conv_id": call["detail"]["conv_id"], "analysis_updated_at": call["detail"]["updated_at"]}
                target |= conversation.of(TargetUpserted) | heard
    yield _event(
        "TargetUpserted",
        customer=life.customer.id,
        campaign_id=life.campaign.id,
        target_id=life.id("target"),
        **target,
        created_at=enrolled_at,
        updated_at=life.after(moments[-1] if moments else enrolled_at, MOST_SECONDS),
    )


def _call(life: Life, attempt: int, outcome: str, conversation: Conversation, at: datetime) -> Event:
    answered = outcome == "answered"
    seconds = life.chance.randrange(40, MOST_SECONDS) if answered else 25
    finished_at = life.after(at, seconds)
    return _event(
        "CallUpserted",
        id=life.id(f"call {attempt}"),
        customer=life.customer.id,
        campaign_id=life.campaign.id,
        attempt_no=attempt,
        status="completed" if outcome in {"answered", "voicemail"} else "failed",
        outcome=outcome,
        conv_id=f"conv-{life.id(f'conversation {attempt}')}",
        direction="outbound",
        external_from=life.campaign.number,
        external_to=life.customer.phone,
        duration_seconds=seconds if answered else None,
        messages_count=seconds // 8 if answered else 0,
        **(conversation.of(CallUpserted) if answered else {}),
        scheduled_at=at,
        dispatched_at=at,
        finished_at=finished_at,
        created_at=at,
        updated_at=finished_at,
    )


def _message(life: Life, channel: str, at: datetime) -> Event:
    subject, text = (
        life.chance.choice(list(EMAILS.items())) if channel == "email" else (None, life.chance.choice(WHATSAPP))
    )
    return _event(
        "MessageSent",
        id=f"{channel}-{life.id(channel)}",
        customer=life.customer.id,
        campaign_id=life.campaign.id,
        channel=channel,
        status=life.chance.choice(("sent", "delivered", "read")),
        external_from=life.campaign.number if channel == "whatsapp" else "hello@example.com",
        external_to=life.customer.phone if channel == "whatsapp" else life.customer.email,
        subject=subject,
        text=text,
        sent_at=at,
        updated_at=life.after(at, 60),
    )


def _event(detail_type: str, **detail: Any) -> Event:
    told = {name: keys.timestamp(value) if isinstance(value, datetime) else value for name, value in detail.items()}
    known = {name: value for name, value in told.items() if value is not None}
    return {"source": "customers.demo", "detail-type": detail_type, "detail": known}


def _id(name: str) -> str:
    return str(uuid5(NAMESPACE_OID, f"customers demo {name}"))
