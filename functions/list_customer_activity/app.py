"""GET /customers/{customer_id}/activity: one page of a customer's calls, WhatsApp messages and emails, newest first."""

from http import HTTPStatus

from customers import listing
from customers.api import Request, Response, Service
from customers.listing import ActivityParameters

service = Service()


@service.operation("list_customer_activity", scope="customers:read")
def lambda_handler(request: Request) -> Response:
    id, query = request.id, ActivityParameters.parse(request.parameters)
    summary = service.customers.summary(id, request.reach, include_deleted=query.include_deleted)
    return Response(HTTPStatus.OK, listing.list_activity(service.table, id, summary.stats, query))
