"""Customers API on AWS Lambda and DynamoDB: what its functions share.

Imports go one way, as a request does: api → auth → listing, repository → models → dynamodb, keys; below them are
observability, settings and errors, which import nothing of the others.
"""
