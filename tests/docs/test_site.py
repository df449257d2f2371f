"""`make docs`: every page is in it, every link leads somewhere, and reading it asks no other host for anything."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.hooks import ROOT_PAGES, at_home, gallery

ROOT = Path(__file__).parents[2]
BUILD = [str(Path(sys.executable).with_name("mkdocs")), "build", "--strict", "--site-dir"]


def build(folder: Path, into: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run([*BUILD, str(into)], cwd=folder, capture_output=True, text=True, env=environment, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_of_the_documents_is_in_the_navigation(site: Path) -> None:
    start = (site / "index.html").read_text()
    pages = [page.relative_to(ROOT / "docs") for page in (ROOT / "docs").rglob("*.md")] + [Path(uri) for uri in ROOT_PAGES.values()]
    for page in pages:
        name = "index" if page.stem == "README" else page.stem
        assert f'href="{page.with_name(name).with_suffix(".html")}"' in start, f"{page} is not in the navigation of mkdocs.yml"


def test_nothing_is_fetched_from_another_host(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text()
        assert not (found := re.findall(r"""(?:src=|<link[^>]+href=)["']?(https?:[^"' >]+)""", text)), f"{page.name} loads {found}"
        assert 'class="mermaid"' not in text, f"{page.name} has a diagram that the theme would fetch a script for"


def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    for name in (*ROOT_PAGES, "mkdocs.yml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    for page in [*(ROOT / "docs").rglob("*.md"), ROOT / "docs/hooks.py", *(ROOT / "docs/images").iterdir()]:
        copy = tmp_path / page.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(page.read_bytes())
    broken = tmp_path / "docs/console.md"
    broken.write_text(broken.read_text() + "\n[gone](runbooks/gone.md)\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode != 0
    assert "runbooks/gone.md" in done.stdout + done.stderr


def test_a_page_of_the_root_links_pages_of_the_site() -> None:
    text = at_home("[a](docs/runbooks) [b](ARCHITECTURE.md) [c](docs/guides/x.md) [d](shared/events/keys.py) ![p](docs/images/l.png)")
    assert text == "[a](runbooks/README.md) [b](architecture.md) [c](guides/x.md) `shared/events/keys.py` ![p](images/l.png)"


def test_screenshots_are_shown_by_page_when_there_are_any(tmp_path: Path) -> None:
    for name in ("inbox-dark", "inbox-light", "dead-letters-arabic"):
        (tmp_path / f"{name}.png").touch()
    shown = "\n".join(gallery(tmp_path))
    assert [line for line in shown.splitlines() if line.startswith("###")] == ["### Dead letters", "### Inbox"]
    assert f"({tmp_path.name}/inbox-dark.png)" in shown
    assert not list(gallery(tmp_path / "nothing"))
