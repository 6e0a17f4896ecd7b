"""GET /customers: one page of customers, sorted, filtered or searched, with exact totals."""

from http import HTTPStatus

from customers import listing
from customers.api import Request, Response, Service

service = Service()


@service.operation("list_customers", scope="customers:read")
def lambda_handler(request: Request) -> Response:
    caller = request.caller
    query = listing.parse(request.parameters, owner_id=caller.owner_id, is_admin=caller.is_admin)
    return Response(HTTPStatus.OK, listing.list_customers(service.table, query))
