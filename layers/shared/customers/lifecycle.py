"""From a function's first import to its first request: what it does once, and again after each restored snapshot.

SnapStart starts functions from a snapshot of one that has been set up, maybe weeks ago and many from one. Whatever may
not be old, or the same in two of them, is made anew: clients with their credentials and connections, what callers are
known by, and the numbers of `random`. `uuid` and `secrets` take the kernel's, which Lambda sees to.
"""

import gc
import os
import random
from collections.abc import Callable

IS_LAMBDA = "AWS_LAMBDA_RUNTIME_API" in os.environ


def ready(connect: Callable[[], object], *renew: Callable[[], object]) -> None:
    """Called once, when the function is set up; `renew` is also done after a restore, in this order, then `connect`.

    `connect` opens the first connection while nobody waits, and while a start still has a whole processor.
    """
    if not IS_LAMBDA:
        return
    connect()
    after_restore(random.seed, *renew, connect)
    gc.enable()
    gc.freeze()


def after_restore(*hooks: Callable[[], object]) -> None:
    """Have these called, in the order in which they come, when a snapshot has been restored."""
    try:
        from snapshot_restore_py import (  # type: ignore[import-untyped]  # noqa: PLC0415 - only in Lambda's runtime
            register_after_restore,
        )
    except ImportError:
        return
    for hook in hooks:
        register_after_restore(hook)
