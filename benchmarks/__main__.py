"""Every benchmark, one after the other: `make bench`, or `python -m benchmarks`.

Each runs in a process of its own, with engines of its own, so that none inherits another's caches, threads or telemetry. All run,
also after one that missed its target. Exit code 0 only when each met it; 130 when interrupted, after the engines were stopped.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

# Benchmark → the options that it takes. What they are and their defaults is said once, in its own `--help`.
OPTIONS: Mapping[str, Sequence[str]] = {
    "decision": ("decisions",),
    "dispatch": ("events", "burst", "rounds"),
    "governed_effect": ("count",),
    "redaction": (),
    "tasks": ("seconds", "rounds", "clients"),
}


def main() -> int:
    arguments = options().parse_args()
    console, codes = Console(highlight=False), dict[str, int]()
    for name in arguments.only or OPTIONS:
        console.rule(name)
        given = {option: value for option in OPTIONS[name] if (value := getattr(arguments, option)) is not None}
        codes[name] = run([sys.executable, "-m", f"benchmarks.{name}", *(f"--{option}={value}" for option, value in given.items())])
    table = Table(title="benchmarks")
    for column in ("benchmark", "targets", "exit code"):
        table.add_column(column)
    for name, code in codes.items():
        table.add_row(name, "met" if code == 0 else "MISSED, or it failed: see above", str(code))
    console.print(table)
    return 1 if any(codes.values()) else 0


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=list(OPTIONS), help="run this one; repeatable, default: all")
    for option in dict.fromkeys(option for known in OPTIONS.values() for option in known):
        takers = " and ".join(name for name, known in OPTIONS.items() if option in known)
        parser.add_argument(f"--{option}", type=int, metavar="N", help=f"of {takers}, see `python -m benchmarks.<name> --help`")
    return parser


def run(command: Sequence[str]) -> int:
    """The exit code. A Ctrl-C reaches the child too, and stopping its engines takes it a moment: it is not killed for that."""
    with subprocess.Popen(command) as child:
        try:
            return child.wait()
        except KeyboardInterrupt:
            child.wait()
            sys.exit(130)


if __name__ == "__main__":
    sys.exit(main())
