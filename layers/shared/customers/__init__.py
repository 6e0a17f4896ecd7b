"""Customers API on AWS Lambda and DynamoDB: what its functions share.

A request meets the modules in this order, and imports go in no other direction:
api → auth → models → listing → repository → keys → dynamodb.
"""
