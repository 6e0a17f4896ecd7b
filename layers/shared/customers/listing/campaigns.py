"""The campaigns of one customer: GET /customers/{customer_id}/campaigns, and the newest of them in its detail.

A customer's enrolments are in its own item collection; the campaigns are kept once and joined. Hardly a customer is in
more than a handful, so they are filtered and sorted here.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import batched
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel
from pydantic_core import PydanticCustomError

from customers import keys
from customers.contact_models import CampaignOut, CustomerDetailCampaignOut
from customers.dynamodb import BATCH_GET_ITEMS, CONNECTIONS, Item, Table
from customers.listing.query import Limit, Offset, Words, terms_of, validated, words
from customers.models import CampaignStatus, MetaOut, PaginatedResponse, QueryOut, SortOut

CAMPAIGNS_OF_DETAIL = BATCH_GET_ITEMS  # the newest, in one request


def _known_statuses(value: str) -> str:
    known = get_args(CampaignStatus)
    if not set(words(value)) <= set(known):
        raise PydanticCustomError("enum", "Input should be some of: {known}", {"known": ", ".join(known)})
    return value


class CampaignParameters(BaseModel):
    """The query parameters of GET /customers/{customer_id}/campaigns, as OpenAPI describes them."""

    status: Annotated[Words, AfterValidator(_known_statuses)] | None = None
    include_deleted: bool = False
    limit: Limit = 10
    offset: Offset = 0
    q: str | None = None
    sort_field: Literal["created_at", "updated_at", "name", "status"] | None = None
    sort_dir: Literal["asc", "desc"] = "desc"

    @classmethod
    def parse(cls, params: Mapping[str, str]) -> "CampaignParameters":
        """Raises `Invalid`."""
        return validated(cls, params)


def newest_campaigns(table: Table, targets: Iterable[Item]) -> list[CustomerDetailCampaignOut]:
    """The enrolments of a detail, the latest first. Raises `Unavailable`."""
    latest = sorted(
        _enrolled(targets), key=lambda target: (target["enrolment"]["created_at"], target["sk"]), reverse=True
    )
    shown = latest[:CAMPAIGNS_OF_DETAIL]
    campaigns = _campaigns(table, shown)
    of_target = ((target, campaigns.get(target["enrolment"]["campaign_id"])) for target in shown)
    return [CustomerDetailCampaignOut.of(target, campaign) for target, campaign in of_target if campaign]


def list_campaigns(table: Table, targets: Iterable[Item], query: CampaignParameters) -> PaginatedResponse[CampaignOut]:
    """One page. Raises `Unavailable`."""
    statuses, terms, field = words(query.status), terms_of(query.q), query.sort_field or "created_at"
    found = [
        campaign
        for campaign in _campaigns(table, list(_enrolled(targets))).values()
        if (not statuses or campaign["status"] in statuses) and all(t in keys.fold(campaign["name"]) for t in terms)
    ]
    found.sort(key=lambda campaign: (keys.fold(campaign[field]), campaign["id"]), reverse=query.sort_dir == "desc")
    sort = SortOut(field=field, direction=query.sort_dir)
    filters = {"status": list(statuses), "include_deleted": query.include_deleted}
    echo: dict[str, Any] = {"q": query.q} if terms else {}
    return PaginatedResponse[CampaignOut].model_construct(
        data=[CampaignOut.of(campaign) for campaign in found[query.offset : query.offset + query.limit]],
        meta=MetaOut(total=len(found), limit=query.limit, offset=query.offset, sort=sort),
        query=QueryOut.model_construct(
            **echo, filters={name: value for name, value in filters.items() if value}, sort=sort
        ),
    )


def _enrolled(targets: Iterable[Item]) -> Iterable[Item]:
    """The targets that are no mark of a removal, nor counters that came before their enrolment."""
    return (target for target in targets if "enrolment" in target and not target["enrolment"]["removed"])


def _campaigns(table: Table, targets: Sequence[Item]) -> dict[str, Item]:
    """The campaigns of targets, by id; one that is deleted, or not yet known, is left out."""
    wanted = [keys.campaign(target["enrolment"]["campaign_id"]) for target in targets]
    batches = [list(batch) for batch in batched(wanted, BATCH_GET_ITEMS, strict=False)]
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        found = [campaign for items in pool.map(table.batch_get, batches) for campaign in items]
    return {campaign["id"]: campaign for campaign in found if not campaign["removed"]}
