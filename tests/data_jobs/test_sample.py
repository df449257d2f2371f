import re
import subprocess
import sys
from pathlib import Path

from data_jobs.defs.crm.export import COLUMNS
from data_jobs.resources import SHIPPED_SAMPLE
from data_jobs.sample.generator import generate


def test_the_shipped_sample_is_what_the_generator_makes() -> None:
    """If this fails: `python -m data_jobs.sample`."""
    assert {name: (SHIPPED_SAMPLE / name).read_text(encoding="utf-8") for name in COLUMNS} == generate()


def test_the_sample_has_every_kind_of_dirt_that_a_real_export_has() -> None:
    sample = generate()
    assert "technolgy" in sample["accounts.csv"]
    assert {"Philipines", "Korea"} <= set(re.split("[,\n]", sample["accounts.csv"]))
    assert ",LumoPro," in sample["sales_pipeline.csv"]
    assert ",null,Engaging," in sample["sales_pipeline.csv"]
    assert re.search(r",Prospecting,,,$", sample["sales_pipeline.csv"], re.MULTILINE)
    assert "LumoPro" not in sample["products.csv"]


def test_another_seed_gives_another_sample_of_the_same_shape() -> None:
    other = generate(seed=1)
    assert other != generate()
    assert {name: text.splitlines()[0] for name, text in other.items()} == {name: ",".join(columns) for name, columns in COLUMNS.items()}


def test_asking_the_generator_for_help_writes_nothing(tmp_path: Path) -> None:
    asked = subprocess.run([sys.executable, "-m", "data_jobs.sample", "--help"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "FOLDER" in asked.stdout.upper()
    assert list(tmp_path.iterdir()) == []
