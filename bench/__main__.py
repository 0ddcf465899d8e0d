"""`python -m bench [PART …]`: all parts or those named. Ends with 1 if one could not run."""

from __future__ import annotations

import os
import platform
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping

from bench import hop, plugin, report, setup, start, wire, witness, workers

PARTS: Mapping[str, tuple[str, Callable[[], Iterator[str]]]] = {
    "plugin": ("Our part in Locust", plugin.rows),
    "workers": ("Two workers of the load", workers.rows),
    "hop": ("One hop through our proxy against stock Toxiproxy, pgbench select only", hop.rows),
    "witness": ("The witness inside a service that only selects a one", witness.rows),
    "wire": ("The fixture `wire`, in one's own tests", wire.rows),
    "report": ("`brokenpipe report`", report.rows),
    "start": ("Whole runs, as a user types them", start.rows),
    "setup": ("From a clone to the first verdict", setup.rows),
}


def main(wanted: list[str]) -> int:
    """Print the figures of each part as they come."""
    if unknown := set(wanted) - PARTS.keys():
        print(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    load = os.getloadavg()[0]
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load average {load:.1f}: figures of a busy machine mislead"
    )
    failed = False
    for name in wanted or PARTS:
        title, rows = PARTS[name]
        print(f"\n{title}", flush=True)
        try:
            for row in rows():
                print(f"  {row}", flush=True)
        except Exception:  # noqa: BLE001 - the other parts still run
            traceback.print_exc()
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
