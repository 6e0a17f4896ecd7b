"""One cold start, in a process of its own: `python cold_start.py <report> <processor> <runtime> <handler> <folder>...`.

Lambda's runtime client is loaded before anything is counted, as on Lambda. What is counted begins with the import of
the handler's module and ends when the runtime asks for its second invocation; the figures go to the file descriptor
`report`.
"""

import json
import os
import sys
import time

COUNT_OPENS = "BENCH_COUNT_OPENS"  # variable; without it nothing listens, because listening costs time


def main() -> None:
    report, processor, runtime, handler, *folders = sys.argv[1:]
    os.sched_setaffinity(0, {int(processor)})
    sys.path[:] = [*folders, runtime, *sys.path]  # as Lambda has them: /var/task, /opt/python, /var/runtime
    opened: list[object] = []
    if COUNT_OPENS in os.environ:
        sys.addaudithook(lambda event, arguments: opened.append(arguments[0]) if event == "open" else None)

    from awslambdaric import bootstrap  # noqa: PLC0415 - only now on the path
    from awslambdaric.lambda_runtime_client import LambdaRuntimeClient  # noqa: PLC0415

    class Client(LambdaRuntimeClient):  # type: ignore[misc] # the runtime has no types
        """Reads the clocks whenever the runtime has nothing more to do."""

        def wait_next_invocation(self) -> object:
            read_clocks()
            if len(cpu) == len(["start", "init", "first call"]):
                finish()
            return super().wait_next_invocation()

    def read_clocks() -> None:
        cpu.append(time.process_time_ns())
        wall.append(time.perf_counter_ns())

    def finish() -> None:
        os.getsid(0)  # Callgrind stops here (`starter.Starter.instructions`)
        figures = {
            "init_cpu_ms": (cpu[1] - cpu[0]) / 1e6,
            "cpu_ms": (cpu[2] - cpu[0]) / 1e6,
            "wall_ms": (wall[2] - wall[0]) / 1e6,
            "modules": len(sys.modules) - modules,
            "opens": len(opened) - opens,
        }
        os.write(int(report), json.dumps(figures).encode())
        os._exit(0)

    cpu: list[int] = []
    wall: list[int] = []
    client = Client(os.environ["AWS_LAMBDA_RUNTIME_API"], use_thread_for_polling_next=True)
    modules, opens = len(sys.modules), len(opened)
    os.getpgrp()  # Callgrind begins here
    read_clocks()
    bootstrap.run(handler, client)


if __name__ == "__main__":
    main()
