"""GET /customers: one page of customers, sorted, filtered or searched, with exact totals."""

from http import HTTPStatus

from customers.api import Request, Response, Service
from customers.listing import Listing, parse
from customers.listing.bookmarks import Bookmarks
from customers.listing.fences import Fences
from customers.listing.search_cache import SearchCache

service = Service()
customers = Listing(
    service.table,
    max_walk_megabytes=service.settings.max_walk_megabytes,
    bookmarks=Bookmarks(service.table),
    fences=Fences(service.table),
    search_cache=SearchCache(),
)


@service.operation("list_customers", scope="customers:read")
def lambda_handler(request: Request) -> Response:
    query = parse(request.parameters, owner_id=request.caller.owner_id, is_admin=request.caller.is_admin)
    page = customers.page(query)
    return Response(HTTPStatus.OK, page.answer, page.headers(request.event["rawPath"], request.parameters))
