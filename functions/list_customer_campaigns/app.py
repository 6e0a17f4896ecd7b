"""GET /customers/{customer_id}/campaigns: one page of the campaigns that a customer is enrolled in."""

from http import HTTPStatus

from customers import listing
from customers.api import Request, Response, Service
from customers.listing import CampaignParameters

service = Service()


@service.operation("list_customer_campaigns", scope="customers:read")
def lambda_handler(request: Request) -> Response:
    id, query = request.id, CampaignParameters.parse(request.parameters)
    detail = service.customers.detail(id, request.reach, include_deleted=query.include_deleted)
    return Response(HTTPStatus.OK, listing.list_campaigns(service.table, detail.targets, query))
