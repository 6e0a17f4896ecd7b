"""POST /customers/imports: a new import of a large file, and where to send the file."""

from http import HTTPStatus

from customers.api import Request, Response, Service
from customers.files import Files
from customers.importing import ImportCreate, Jobs, show
from customers.settings import FileSettings

service = Service()
jobs = Jobs(service.table)
files = Files(FileSettings.from_env().bucket_name)


@service.operation("create_import", scope="customers:write")
def lambda_handler(request: Request) -> Response:
    asked = request.body(ImportCreate)
    job, replayed = jobs.create(request.caller.owner_id, asked, request.idempotency(asked))
    headers = {"location": f"{request.event['rawPath']}/{job.id}"}
    if replayed:
        headers["idempotency-replayed"] = "true"
    shown = show(job, files, by_admin=request.caller.is_admin, with_upload=True)
    return Response(HTTPStatus.CREATED, shown, headers)
