"""What `make docs` does beyond mkdocs: the pages of the root join those of docs/, folders list themselves, screenshots show when made.

A page is written once, where its readers look for it in the repository: README.md at the root links `docs/runbooks`, on the site the
same link leads to `runbooks/`. Links to code become names, for the site does not carry the code.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

DOCS = Path(__file__).parent
ROOT_PAGES = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
DECISIONS = "decisions/index.md"
SCREENSHOTS = DOCS / "screenshots"

_LINK = re.compile(r"(?<!\!)\[([^\]]+)\]\(([^)\s:#]+)\)")
_PICTURE = re.compile(r"(!\[[^\]]*\])\(docs/([^)]+)\)")
_MARK = "<!-- screenshots -->"
_NONE_YET = (
    '!!! note "No screenshots yet"\n'
    "    They are made by the browser tests and kept out of git: run `.venv/bin/pytest tests/console/test_pictures.py` (it needs Debian's\n"
    "    `chromium`), then `make docs` again."
)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """A folder in the navigation stands for its pages, its index first: a new runbook or decision needs no line there."""
    config.nav = [_expanded(entry) for entry in config.nav or []]
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    for name, uri in ROOT_PAGES.items():
        files.append(File.generated(config, uri, content=at_home((DOCS.parent / name).read_text(encoding="utf-8"))))
    files.append(File.generated(config, DECISIONS, content="\n".join(decisions())))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    if _MARK not in markdown:
        return markdown
    return markdown.replace(_MARK, "\n\n".join(gallery(SCREENSHOTS)) or _NONE_YET)


def at_home(text: str) -> str:
    """A page of the root as a page of docs/: its links rewritten."""
    return _LINK.sub(_followed, _PICTURE.sub(r"\1(\2)", text))


def decisions() -> Iterator[str]:
    """The index of docs/decisions, made from the pages' own titles."""
    yield "# Decisions\n\nWhat someone would question, one page each: context, decision, consequences.\n"
    for page in sorted((DOCS / "decisions").glob("*.md")):
        title = page.read_text(encoding="utf-8").split("\n", 1)[0].removeprefix("# ").strip()
        yield f"- [{title}]({page.name})"


def gallery(folder: Path) -> Iterator[str]:
    """The screenshots by page of the console: `<page>-<look>.png`, as the browser tests name them."""
    seen = None
    for picture in sorted(folder.glob("*.png")):
        name, _, look = picture.stem.rpartition("-")
        if name != seen:
            seen = name
            yield f"### {name.replace('-', ' ').capitalize()}"
        yield f"![{name.replace('-', ' ')}, {look}]({folder.name}/{picture.name})\n\n*{look}*"


def _expanded(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    return {title: _pages(target) if isinstance(target, str) and target.endswith("/") else target for title, target in entry.items()}


def _pages(folder: str) -> list[str]:
    found = sorted(page.name for page in (DOCS / folder).glob("*.md"))
    index = [DECISIONS] if folder == "decisions/" else [f"{folder}{name}" for name in found if name == "README.md"]
    return [*index, *(f"{folder}{name}" for name in found if name != "README.md")]


def _followed(link: re.Match[str]) -> str:
    text, target = link[1], link[2]
    if target in ROOT_PAGES:
        return f"[{text}]({ROOT_PAGES[target]})"
    if not target.startswith("docs/"):
        return f"`{target}`"
    inside = target.removeprefix("docs/")
    if not (DOCS / inside).is_dir():
        return f"[{text}]({inside})"
    return f"[{text}]({inside}/{'README.md' if (DOCS / inside / 'README.md').exists() else 'index.md'})"
