"""`make bench`: one part by its name and options, or all of them: `python -m bench [part [option ...]]`."""

import sys
from importlib import import_module
from importlib.util import find_spec

PARTS = {
    "cold": "bench.cold",
    "warm": "bench.warm",
    "units": "bench.units",
    "scale": "bench.scale",
    "load": "bench.load",
    "imports": "bench.large_import",
}


def main() -> int:
    part, *arguments = sys.argv[1:] or [""]
    if part in PARTS:
        return int(import_module(PARTS[part]).main(arguments))
    if part:
        print(f"There is no part {part}: it is one of {', '.join(PARTS)}", file=sys.stderr)
        return 2
    return max(int(import_module(module).main([])) for module in PARTS.values() if find_spec(module))


if __name__ == "__main__":
    sys.exit(main())
