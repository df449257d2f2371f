"""Keys, principals and roles, on a real database."""

import threading
from datetime import datetime, timedelta

import pytest

from spine.db import Database
from spine.errors import Conflict, InvalidInput, NotAllowed, NotAuthenticated, NotFound
from spine.identity import (
    Principal,
    Role,
    authenticate,
    ensure_development_keys,
    issue_first_key,
    issue_key,
    list_keys,
    revoke_key,
    rotate_key,
)


def _issued(database: Database, tenant_id: str, principal_id: str = "sara", role: Role = Role.OPERATOR) -> str:
    with database.tenant(tenant_id) as conn:
        return issue_key(conn, tenant_id=tenant_id, principal_id=principal_id, role=role)


def test_a_key_authenticates_its_principal_inside_its_own_tenant(database: Database) -> None:
    assert authenticate(database, _issued(database, "acme")) == Principal(tenant_id="acme", id="sara", role=Role.OPERATOR)


def test_a_tenant_with_dots_in_its_name_is_still_told_from_the_key_id(database: Database) -> None:
    assert authenticate(database, _issued(database, "acme.sa.north")).tenant_id == "acme.sa.north"


def test_only_a_hash_of_the_secret_is_stored(database: Database) -> None:
    key = _issued(database, "acme")
    with database.tenant("acme") as conn:
        row = conn.execute("select * from api_keys").fetchone()
    assert row is not None
    assert key.rsplit(".", 1)[1] not in str(row)


def test_moving_a_key_to_another_tenant_authenticates_nobody(database: Database) -> None:
    key = _issued(database, "acme")
    _issued(database, "other")
    with pytest.raises(NotAuthenticated, match="unknown, expired, revoked or mistyped"):
        authenticate(database, key.replace("sk.acme.", "sk.other."))


@pytest.mark.parametrize("presented", ["", "sk", "sk...", "sk.acme.key", "pk.acme.key.secret", "sk.ac me.key.secret", "sk./.key.secret"])
def test_what_is_no_key_is_refused_with_the_form_of_one(database: Database, presented: str) -> None:
    with pytest.raises(NotAuthenticated, match=r"sk\.<tenant>\.<key_id>\.<secret>"):
        authenticate(database, presented)


def test_an_unknown_key_a_wrong_secret_and_a_revoked_key_are_refused_in_the_same_words(database: Database) -> None:
    key = _issued(database, "acme")
    head, key_id, secret = key.rsplit(".", 2)
    revoked = _issued(database, "acme", "omar")
    with database.tenant("acme") as conn:
        revoke_key(conn, tenant_id="acme", key_id=revoked.rsplit(".", 2)[1])
    messages = set()
    for presented in (f"{head}.ffffffffffff.{secret}", f"{head}.{key_id}.{secret[:-1]}", revoked):
        with pytest.raises(NotAuthenticated) as refused:
            authenticate(database, presented)
        messages.add(str(refused.value))
    assert len(messages) == 1
    assert authenticate(database, key).id == "sara"


def test_revoking_twice_keeps_the_first_moment_and_an_unknown_key_is_named(database: Database) -> None:
    key_id = _issued(database, "acme").rsplit(".", 2)[1]
    with database.tenant("acme") as conn:
        first = revoke_key(conn, tenant_id="acme", key_id=key_id)
    with database.tenant("acme") as conn:
        assert revoke_key(conn, tenant_id="acme", key_id=key_id) == first
        with pytest.raises(NotFound, match="'nope'"):
            revoke_key(conn, tenant_id="acme", key_id="nope")
    with database.tenant("other") as conn, pytest.raises(NotFound):
        revoke_key(conn, tenant_id="other", key_id=key_id)


def test_a_principal_is_never_an_address(database: Database) -> None:
    with pytest.raises(InvalidInput, match="addresses stay out"):
        _issued(database, "acme", "sara@acme.example")


@pytest.mark.parametrize("role", list(Role))
def test_a_role_covers_itself_and_those_before_it(role: Role) -> None:
    order = [Role.VIEWER, Role.OPERATOR, Role.APPROVER, Role.ADMIN]
    assert [role.covers(other) for other in order] == [order.index(role) >= n for n in range(4)]


def test_a_role_that_is_too_small_is_told_which_one_it_takes() -> None:
    with pytest.raises(NotAllowed, match="this takes 'approver'"):
        Principal(tenant_id="acme", id="sara", role=Role.OPERATOR).require(Role.APPROVER)


def test_development_keys_are_shown_once_even_when_two_processes_start_at_once(database: Database) -> None:
    shown: list[dict[Role, str]] = []
    threads = [threading.Thread(target=lambda: shown.append(dict(ensure_development_keys(database, "demo")))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (keys,) = [keys for keys in shown if keys]
    assert {role: authenticate(database, key).role for role, key in keys.items()} == {role: role for role in Role}
    assert ensure_development_keys(database, "demo") == {}
    with database.tenant("demo") as conn:
        assert len(list_keys(conn, "demo")) == 4


def test_a_key_ends_by_itself_and_says_no_more_than_a_wrong_one(database: Database) -> None:
    with database.tenant("acme") as conn:
        key = issue_key(conn, tenant_id="acme", principal_id="sara", role=Role.VIEWER, lifetime=timedelta(hours=1))
    assert authenticate(database, key).id == "sara"
    with database.tenant("acme") as conn:
        conn.execute("update api_keys set expires_at = now() - interval '1 second'")
    with pytest.raises(NotAuthenticated, match="unknown, expired, revoked or mistyped"):
        authenticate(database, key)
    with database.tenant("acme") as conn, pytest.raises(InvalidInput, match="longer than nothing"):
        issue_key(conn, tenant_id="acme", principal_id="sara", role=Role.VIEWER, lifetime=timedelta(0))


def test_when_a_key_was_used_is_kept_to_the_hour_and_not_written_at_each_use(database: Database) -> None:
    key = _issued(database, "acme")

    def used() -> datetime | None:
        with database.tenant("acme") as conn:
            return list_keys(conn, "acme")[0].last_used_at

    assert used() is None
    authenticate(database, key)
    first = used()
    assert first is not None
    authenticate(database, key)
    assert used() == first, "a use is not a write"
    with database.tenant("acme") as conn:
        conn.execute("update api_keys set last_used_at = now() - interval '61 minutes'")
    authenticate(database, key)
    assert (used() or first) > first - timedelta(minutes=1)


def test_a_mark_that_another_request_is_writing_is_left_to_it(database: Database) -> None:
    key = _issued(database, "acme")
    with database.tenant("acme") as conn:
        conn.execute("select from api_keys for update")
        assert authenticate(database, key).id == "sara", "nobody waits for the mark"


def test_rotating_makes_the_same_principals_new_key_and_the_old_one_ends_after_its_grace(database: Database) -> None:
    old = _issued(database, "acme")
    with database.tenant("acme") as conn:
        new = rotate_key(conn, tenant_id="acme", key_id=old.split(".")[2], grace=timedelta(hours=1))
    assert authenticate(database, old) == authenticate(database, new)
    with database.tenant("acme") as conn:
        newest = rotate_key(conn, tenant_id="acme", key_id=new.split(".")[2])
    assert authenticate(database, newest).id == "sara"
    with pytest.raises(NotAuthenticated):
        authenticate(database, new)
    with database.tenant("acme") as conn:
        with pytest.raises(Conflict, match="has ended"):
            rotate_key(conn, tenant_id="acme", key_id=new.split(".")[2])
        with pytest.raises(NotFound, match="'nope'"):
            rotate_key(conn, tenant_id="acme", key_id="nope")


def test_of_two_first_keys_at_once_one_is_made(database: Database) -> None:
    made: list[str | None] = []
    both = threading.Barrier(4)

    def one() -> None:
        both.wait()
        with database.tenant("fresh") as conn:
            made.append(issue_first_key(conn, tenant_id="fresh", principal_id="ada"))

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(key is not None for key in made) == 1
