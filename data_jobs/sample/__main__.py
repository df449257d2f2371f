"""`python -m data_jobs.sample [FOLDER]`: write the sample export, by default over the shipped one."""

import sys
from pathlib import Path

from data_jobs.resources import SHIPPED_SAMPLE
from data_jobs.sample.generator import generate

if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED_SAMPLE
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in generate().items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    sys.stdout.write(f"wrote {', '.join(sorted(generate()))} to {folder}\n")
