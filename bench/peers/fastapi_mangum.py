"""FastAPI behind Mangum, and boto3's Table resource."""

import logging
import os
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from mangum import Mangum

from bench.peers import table
from bench.peers.models import CustomerOut, Limit, Page, Taken
from bench.peers.new_customer import CustomerIn
from bench.peers.tokens import Unauthorized, owner_of

app = FastAPI(title="Customers", openapi_url=None)
logger = logging.getLogger("customers")
logger.setLevel(logging.INFO)
secret = os.environ["JWT_SECRET"].encode()


async def authenticated(request: Request) -> str:
    try:
        return owner_of(request.headers, secret)
    except Unauthorized:
        raise HTTPException(401, "Not authenticated", {"www-authenticate": "Bearer"}) from None


Owner = Annotated[str, Depends(authenticated)]

# `async`, though boto3 blocks: a function serves one request at a time, and a thread for it would cost more.


@app.get("/customers/{id}")
async def get_customer(id: str, owner: Owner) -> CustomerOut:
    customer = table.get(id, owner)
    if customer is None:
        raise HTTPException(404, "Customer not found")
    logger.info("get_customer")
    return customer


@app.get("/customers")
async def list_customers(owner: Owner, limit: Annotated[Limit, Query()] = 10) -> Page:
    page = table.newest(owner, limit)
    logger.info("list_customers")
    return page


@app.post("/customers", status_code=201)
async def create_customer(new: CustomerIn, owner: Owner) -> CustomerOut:
    try:
        customer = table.create(new, owner)
    except Taken:
        raise HTTPException(409, "The customer_id is taken") from None
    logger.info("create_customer")
    return customer


lambda_handler = Mangum(app, lifespan="off")
