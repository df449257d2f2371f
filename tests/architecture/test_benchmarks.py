"""`make bench` runs every benchmark that there is."""

from pathlib import Path

from benchmarks import __main__ as benchmarks

FOLDER = Path(benchmarks.__file__).parent


def test_every_benchmark_is_run_and_its_options_are_taken() -> None:
    there = {path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_") and "\ndef main(" in path.read_text()}
    assert set(benchmarks.OPTIONS) == there
    parser = benchmarks.options()
    for name, options in benchmarks.OPTIONS.items():
        given = [word for option in options for word in (f"--{option}", "3")]
        taken = vars(parser.parse_args(["--only", name, *given]))
        assert {option: taken[option] for option in options} == dict.fromkeys(options, 3)
