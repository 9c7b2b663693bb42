"""`python -m benchmarks [NAME...]`: measure claims, write their records, print the table. `make bench` calls this.

Each benchmark runs in a process of its own, so that memory is its own and no warm cache is inherited.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks import harness, table
from benchmarks.table import GPU, NAMES


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"all by default: {', '.join(NAMES)}; gpu: {', '.join(GPU)}"
    )
    parser.add_argument("--data", type=Path, help="folder with senteval/ and snli/; bundled sentences without it")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run? Writes no record")
    parser.add_argument("--records", type=Path, default=harness.RECORDS)
    parser.add_argument("--readme", action="store_true", help="only put the table of the records into README.md")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    names = [one for name in arguments.names or NAMES for one in (GPU if name == "gpu" else (name,))]
    if unknown := set(names) - {*NAMES, *GPU}:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))} (there are {', '.join((*NAMES, *GPU))})")
    if arguments.readme:
        table.into_readme(arguments.records)
        return
    if arguments.here:
        (name,) = names
        record = importlib.import_module(f"benchmarks.{name}").measure(harness.settings(arguments))
        print(json.dumps(record.document()))
        return
    found = []
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        # As the command line itself starts torch; see multicsr_cli/main.py.
        environment = {**os.environ, "GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "10000")}
        flags = ["--rounds", str(arguments.rounds), "--device", arguments.device]
        flags += ["--quick"] if arguments.quick else []
        flags += ["--data", str(arguments.data)] if arguments.data else []
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks", name, "--here", *flags],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{name} failed (exit {done.returncode}); its output is above")
        record = json.loads(done.stdout.splitlines()[-1])
        found.append(record)
        if not arguments.quick:
            harness.write(record, arguments.records)
        print(table.line(record), file=sys.stderr, flush=True)
    print(table.markdown(found))


if __name__ == "__main__":
    main()
