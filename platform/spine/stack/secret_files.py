"""Secrets of one home: a file each in `<home>/secrets`, which only its owner may enter."""

import os
import secrets
from pathlib import Path


def read_or_make_secret(home: Path, name: str) -> str:
    """The secret of that name, generated on first use; of two processes that make it at once both get the first one's."""
    try:
        return _path(home, name).read_text().strip()
    except FileNotFoundError:
        return _keep(home, name, secrets.token_urlsafe(24), replace=False)


def keep_secret(home: Path, name: str, value: str) -> None:
    _keep(home, name, value, replace=True)


def read_secret(home: Path, name: str) -> str | None:
    path = _path(home, name)
    return path.read_text().strip() if path.exists() else None


def _path(home: Path, name: str) -> Path:
    return home / "secrets" / name


def _keep(home: Path, name: str, value: str, *, replace: bool) -> str:
    path = _path(home, name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{name}.{os.getpid()}.{secrets.token_hex(4)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(value)
    try:
        if replace:
            draft.replace(path)
        else:
            os.link(draft, path)
    except FileExistsError:
        pass  # the other one was first; its value counts
    finally:
        draft.unlink(missing_ok=True)
    return path.read_text().strip()
