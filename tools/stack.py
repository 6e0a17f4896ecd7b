"""A deployed stack, as the tools see it: one on AWS by its name, otherwise the one of `make run` on this machine."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from customers.dynamodb import Table
from tools.local_cloud import LOCAL_STACK, LocalCloud, LocalCloudError


class StackError(RuntimeError):
    """The stack cannot be used; the message says why, and what helps."""


@dataclass(frozen=True, slots=True)
class Stack:
    """What a stack was deployed with, and what it has. The process's environment says which account it is in."""

    parameters: Mapping[str, str]
    outputs: Mapping[str, str]

    @classmethod
    def find(cls, name: str) -> Self:
        """Raises `StackError`."""
        try:
            cloudformation: Any = boto3.client("cloudformation")
            (found,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
        except (BotoCoreError, ClientError) as error:
            raise StackError(f"The stack {name} cannot be read: {error}") from None
        return cls(
            {each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", [])},
            {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])},
        )

    @property
    def table(self) -> Table:
        return Table(self.outputs["TableName"])


def add_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stack", metavar="NAME", help="a stack on AWS; without it, the one of make run")


def chosen(name: str | None) -> Stack:
    """The stack that `--stack` names. Without a name nothing of this process can reach an AWS account any more.

    Raises `StackError`.
    """
    if name is None:
        try:
            LocalCloud.running().enter()
        except LocalCloudError as error:
            raise StackError(str(error)) from None
    return Stack.find(name or LOCAL_STACK)
