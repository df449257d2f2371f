"""The account that PostgreSQL runs as when root starts it, what that account can reach, and a place for what it cannot.

No permission is widened: what lies under a private directory is put elsewhere or copied, and a copy stays the property of root.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any

from spine.errors import Misconfigured

# The account that root demotes to: one of ours or of a packaged PostgreSQL if the machine has it, else everyone's `nobody`.
_ACCOUNTS = ("spine", "postgres", "_postgres", "nobody")
_ROOT_PLACES = (Path("/var/lib/spine"), Path("/var/db/spine"), Path("/var/tmp/spine"))


def unprivileged_account() -> pwd.struct_passwd:
    """The first of those there are. Raises Misconfigured when there is none."""
    for name in _ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Misconfigured(f"PostgreSQL refuses to run as root and none of the accounts {_ACCOUNTS!r} exists: run as an ordinary user")


def as_account(account: pwd.struct_passwd | None) -> dict[str, Any]:
    """Keyword arguments for Popen and its kin: none for the account that we are."""
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}


def can_run(account: pwd.struct_passwd, script: str, *arguments: str) -> bool:
    """Whether a line of shell succeeds as this account, which is the one way to know what it may reach."""
    command = ["/bin/sh", "-c", script, "sh", *arguments]
    return subprocess.run(command, capture_output=True, cwd="/", **as_account(account)).returncode == 0


def root_place(account: pwd.struct_passwd) -> Path:
    """A folder of root's that the account can enter and nobody else can write to. Raises Misconfigured when there is none."""
    for place in _ROOT_PLACES:
        if not place.parent.is_dir() or not os.access(place.parent, os.W_OK):
            continue
        place.mkdir(mode=0o755, exist_ok=True)
        # Under a directory that everyone may write to, someone else may have been there first.
        status = place.lstat()
        if status.st_uid == 0 and not place.is_symlink() and not status.st_mode & 0o022 and can_run(account, 'cd "$1"', str(place)):
            return place
    tried = ", ".join(map(str, _ROOT_PLACES))
    raise Misconfigured(f"no place that account {account.pw_name!r} can reach for PostgreSQL (tried {tried}): set SPINE_HOME to one")


def copied_runtime(account: pwd.struct_passwd, source: Path) -> Path:
    """A copy of the wheel's server, `source`, where `account` can run it; libraries beside it, because binaries find them relatively."""
    libraries = source.parent.with_name(f"{source.parent.name}.libs")
    stamp = hashlib.sha256(f"{source}{(source / 'bin/postgres').stat().st_mtime_ns}".encode()).hexdigest()[:12]
    target = root_place(account) / f"runtime-{stamp}"
    if not target.exists():
        draft = target.with_name(f"{target.name}.{os.getpid()}")
        skipped = shutil.ignore_patterns("include", "*.a", "pkgconfig")
        shutil.copytree(source, draft / source.parent.name / source.name, symlinks=True, ignore=skipped)
        if libraries.is_dir():
            shutil.copytree(libraries, draft / libraries.name)
        _open_for_reading(draft)
        try:
            draft.rename(target)
        except OSError:  # another start was faster; its copy is as good
            shutil.rmtree(draft)
    return target / source.parent.name / source.name


def _open_for_reading(tree: Path) -> None:
    for folder, _, files in os.walk(tree):
        os.chmod(folder, 0o755)
        for path in (Path(folder) / name for name in files):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def require_own(data: Path, account: pwd.struct_passwd | None) -> None:
    """Refuse a home that was made by another account, with the cure, instead of the server's riddle about permissions."""
    owner, expected = data.stat().st_uid, account.pw_uid if account else os.geteuid()
    if owner != expected:
        raise Misconfigured(
            f"{str(data)!r} belongs to user id {owner}, this stack runs it as {expected}: use another SPINE_HOME, or chown it"
        )
