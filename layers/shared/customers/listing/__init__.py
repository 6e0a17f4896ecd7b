"""What is read page by page.

GET /customers: `query` says what is asked, `plan` how to read it, `answer` does so (`walk`, `search`, `counts`).
Of one customer: `campaigns` and `activity`.
"""

from customers.listing.activity import ActivityParameters, list_activity
from customers.listing.answer import list_customers
from customers.listing.campaigns import CampaignParameters, list_campaigns, newest_campaigns
from customers.listing.query import ListFilters, ListParameters, ListQuery, filtered, parse

__all__ = [
    "ActivityParameters",
    "CampaignParameters",
    "ListFilters",
    "ListParameters",
    "ListQuery",
    "filtered",
    "list_activity",
    "list_campaigns",
    "list_customers",
    "newest_campaigns",
    "parse",
]
