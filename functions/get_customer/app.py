"""GET /customers/{customer_id}: one customer, with its version as ETag."""

from http import HTTPStatus

from customers.api import Request, Response, Service
from customers.models import GetQuery
from customers.repository import Outcome

service = Service()


@service.operation("get_customer", scope="customers:read")
def lambda_handler(request: Request) -> Response:
    include_deleted = request.query(GetQuery).include_deleted
    customer = service.customers.get(request.id, request.reach, include_deleted=include_deleted)
    if request.has_current(customer):
        return Response(HTTPStatus.NOT_MODIFIED, headers={"etag": customer.etag})
    return request.respond(HTTPStatus.OK, Outcome(customer))
