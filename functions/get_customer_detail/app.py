"""GET /customers/{customer_id}/detail: a customer with its statistics, last call and campaigns."""

from http import HTTPStatus

from customers import listing
from customers.api import Request, Response, Service
from customers.contact_models import CustomerDetailOut
from customers.models import DetailQuery

service = Service()


@service.operation("get_customer_detail", scope="customers:read")
def lambda_handler(request: Request) -> Response:
    include_deleted = request.query(DetailQuery).include_deleted
    detail = service.customers.detail(request.id, request.reach, include_deleted=include_deleted)
    campaigns = listing.newest_campaigns(service.table, detail.targets)
    return Response(HTTPStatus.OK, CustomerDetailOut.of(request.show(detail.customer), detail.stats, campaigns))
