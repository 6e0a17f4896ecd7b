"""GET /customers/exports/{export_id}: how far it is, and where the file is."""

from http import HTTPStatus

from customers.api import Request, Response, Service
from customers.exporting import Exports, show
from customers.files import Files
from customers.settings import FileSettings

service = Service()
exports = Exports(service.table)
files = Files(FileSettings.from_env().bucket_name)


@service.operation("get_export", scope="customers:read")
def lambda_handler(request: Request) -> Response:
    export = exports.get(request.path_id("export_id"), request.reach)
    return Response(HTTPStatus.OK, show(export, files, by_admin=request.caller.is_admin))
