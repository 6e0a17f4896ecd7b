"""AWS Lambda Powertools' resolver over boto3's Table resource."""

from bench.peers import table
from bench.peers.resolver import handler_over

lambda_handler = handler_over(table)
