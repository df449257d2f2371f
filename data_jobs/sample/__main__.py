"""`python -m data_jobs.sample [FOLDER]`: write the sample export, by default over the shipped one."""

import argparse
import sys
from pathlib import Path

from data_jobs.resources import SHIPPED_SAMPLE
from data_jobs.sample.generator import generate

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m data_jobs.sample", description="Write the sample CRM export: four CSV files.")
    parser.add_argument("folder", nargs="?", type=Path, default=SHIPPED_SAMPLE, help="where to; default: over the shipped sample")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in generate().items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    sys.stdout.write(f"wrote {', '.join(sorted(generate()))} to {folder}\n")
