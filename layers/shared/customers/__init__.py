"""Customers API on AWS Lambda and DynamoDB: what its functions share.

Imports go one way, as a request does: api → auth → listing, repository → models → dynamodb, keys; below them are
observability, settings and errors, which import nothing of the others.
"""

import gc
import os

if "AWS_LAMBDA_RUNTIME_API" in os.environ:
    gc.disable()  # a start keeps what it makes, and looking for garbage in it costs 4 %; `lifecycle.ready` enables it
