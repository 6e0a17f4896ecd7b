"""POST /customers/exports: customers to a file, carried out in the background."""

from http import HTTPStatus

from customers.api import Request, Response, Service
from customers.exporting import ExportCreate, Exports, show
from customers.files import Files
from customers.settings import ExportSettings, FileSettings

service = Service()
exports = Exports(service.table)
files = Files(FileSettings.from_env().bucket_name)
function = ExportSettings.from_env().export_function


@service.operation("create_export", scope="customers:read")
def lambda_handler(request: Request) -> Response:
    asked, caller = request.body(ExportCreate), request.caller
    idempotency = request.idempotency(asked)
    export, replayed = exports.create(caller.owner_id, asked, idempotency, by_admin=caller.is_admin)
    exports.start(export, function)
    headers = {"location": f"{request.event['rawPath']}/{export.id}"}
    if replayed:
        headers["idempotency-replayed"] = "true"
    return Response(HTTPStatus.ACCEPTED, show(export, files, by_admin=caller.is_admin), headers)
