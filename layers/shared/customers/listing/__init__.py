"""GET /customers: `query` says what is asked, `plan` how to read it, `answer` does so (`walk`, `search`, `counts`)."""

from customers.listing.answer import list_customers
from customers.listing.query import ListParameters, ListQuery, parse

__all__ = ["ListParameters", "ListQuery", "list_customers", "parse"]
