"""What is read page by page.

GET /customers: `query` says what is asked, `plan` how to read it, `answer` does so, with `walk`, `jumps`, `gather`,
`search`, `counts` and `cursors`. Without `bookmarks`, `fences` and `search_cache` answers are as right, only
dearer. Of one customer: `campaigns` and `activity`.
"""

from customers.listing.activity import ActivityParameters, list_activity
from customers.listing.answer import Listing
from customers.listing.campaigns import CampaignParameters, list_campaigns, newest_campaigns
from customers.listing.query import ListFilters, ListParameters, ListQuery, filtered, parse

__all__ = [
    "ActivityParameters",
    "CampaignParameters",
    "ListFilters",
    "ListParameters",
    "ListQuery",
    "Listing",
    "filtered",
    "list_activity",
    "list_campaigns",
    "newest_campaigns",
    "parse",
]
