"""Logging in, staying in, being let in no longer; and what a page lets a browser do."""

import re
from urllib.parse import quote

import pytest

from shared.events import ActorType
from spine.console.forms import Posted, local
from spine.console.guard import HEADERS
from spine.identity import Role, issue_key, revoke_key
from tests.console.conftest import Browser

COOKIE = "spine_console"


def timeless(page: str) -> str:
    return re.sub(r'data-now="[^"]*"', "", page)


def age(browser: Browser, change: str) -> None:
    with browser.door.database.tenant("acme") as conn:
        conn.execute(f"update console_sessions set {change}")


def test_a_person_logs_in_with_a_key_and_the_cookie_is_no_scripts_and_no_other_paths(browser: Browser) -> None:
    answer = browser.log_in("omar")
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] == "/console/"
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("spine_console=acme.")
    for part in ("httponly", "samesite=lax", "path=/console"):
        assert part in cookie
    assert "secure" not in cookie  # this test's gateway has no https
    page = browser.open("/console/")
    assert page.status_code == 200
    assert "omar" in page.text


def test_over_https_the_cookie_never_travels_without_it(browser: Browser) -> None:
    browser.client.base_url = "https://testserver"
    assert "secure" in browser.log_in("omar").headers["set-cookie"].lower()


def test_only_a_hash_of_the_token_is_kept(browser: Browser) -> None:
    token = browser.log_in("omar").cookies[COOKIE].rpartition(".")[2]
    assert browser.door.count("console_sessions") == 1
    assert browser.door.count("console_sessions", f"console_sessions::text like '%{token}%'") == 0


@pytest.mark.parametrize("path", ["/console/", "/console/approvals/x?done=approve", "/console/stream"])
def test_without_a_session_a_page_leads_to_the_login_and_back(browser: Browser, path: str) -> None:
    answer = browser.open(path)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/console/login?next={quote(path, safe='')}"
    assert browser.log_in("omar", after=path).headers["location"] == path


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/console/../v1/x",
        "/consoles",
        "javascript:alert(1)",
        "/console//evil",
        "/v1/keys",
    ],
)
def test_a_login_leads_nowhere_but_to_the_console(browser: Browser, elsewhere: str) -> None:
    assert local(elsewhere) == "/console/"
    assert browser.log_in("omar", after=elsewhere).headers["location"] == "/console/"


def test_a_revoked_key_ends_its_sessions_at_once(browser: Browser) -> None:
    browser.log_in("omar")
    assert browser.open("/console/").status_code == 200
    key_id = browser.door.key("omar").rsplit(".", 2)[1]
    with browser.door.database.tenant("acme") as conn:
        revoke_key(conn, tenant_id="acme", key_id=key_id)
    assert browser.open("/console/").status_code == 303


@pytest.mark.parametrize("change", ["seen_at = now() - interval '121 minutes'", "expires_at = now() - interval '1 second'"])
def test_a_session_ends_when_it_is_idle_and_when_it_is_old(browser: Browser, change: str) -> None:
    browser.log_in("omar")
    age(browser, change)
    assert browser.open("/console/").status_code == 303


def test_looking_keeps_a_session_alive(browser: Browser) -> None:
    browser.log_in("omar")
    age(browser, "seen_at = now() - interval '119 minutes'")
    assert browser.open("/console/").status_code == 200
    assert browser.door.count("console_sessions", "seen_at > now() - interval '1 minute'") == 1


def test_logging_out_ends_the_session_and_not_only_the_cookie(browser: Browser) -> None:
    cookie = browser.log_in("omar").cookies[COOKIE]
    browser.open("/console/")
    assert browser.send("/console/logout").headers["location"] == "/console/login?out=1"
    browser.client.cookies.set(COOKIE, cookie, path="/console")
    assert browser.open("/console/").status_code == 303
    assert browser.door.count("console_sessions") == 0
    assert browser.door.count("audit_log", "action in ('console.logged_in', 'console.logged_out')") == 2


def test_a_session_of_one_tenant_opens_no_other_tenants_wall(browser: Browser) -> None:
    theirs = browser.door.message(tenant="globex", key="lead-9", correlation_id="flow-9")
    token = browser.log_in("omar").cookies[COOKIE].rpartition(".")[2]
    assert browser.open(f"/console/approvals/{theirs}").status_code == 404
    browser.client.cookies.clear()
    browser.client.cookies.set(COOKIE, f"globex.{token}", path="/console")
    assert browser.open("/console/").status_code == 303


@pytest.mark.parametrize("value", ["", "acme.", "acme", "acme.wrong", "x" * 5000, "a b.c", "'; drop table x.--"])
def test_a_made_up_cookie_is_nobody(browser: Browser, value: str) -> None:
    assert browser.open("/console/", headers={"cookie": f"{COOKIE}={value}"}).status_code == 303


def test_a_wrong_key_says_nothing_about_why_and_is_on_record(browser: Browser) -> None:
    real = browser.door.key("omar")
    wrong = real.rpartition(".")[0] + "." + "x" * 43
    texts = set()
    for key in (wrong, "sk.acme.nosuchkey.secret", "sk.nobody.k.s", "hello", ""):
        answer = browser.client.post("/console/login", data={"key": key})
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        texts.add(timeless(answer.text))
    assert len(texts) == 1
    assert "x" * 43 not in texts.pop()
    assert browser.door.count("audit_log", "action = 'console.login_refused' and severity = 'V1'") == 1


def test_the_eleventh_failed_login_from_an_address_is_not_even_looked_at(browser: Browser) -> None:
    for _ in range(10):
        assert browser.client.post("/console/login", data={"key": "sk.acme.k.s"}).status_code == 401
    assert browser.client.post("/console/login", data={"key": browser.door.key("omar")}).status_code == 429
    assert browser.door.count("console_sessions") == 0


def test_a_programs_key_is_not_for_people(browser: Browser) -> None:
    with browser.door.database.tenant("acme") as conn:
        key = issue_key(conn, tenant_id="acme", principal_id="robot", role=Role.APPROVER, actor_type=ActorType.EXECUTOR_SYSTEM)
    assert browser.client.post("/console/login", data={"key": key}).status_code == 403
    assert browser.door.count("console_sessions") == 0


@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}]
)
def test_a_form_that_another_site_sent_does_nothing(browser: Browser, headers: dict[str, str]) -> None:
    assert browser.client.post("/console/login", data={"key": browser.door.key("omar")}, headers=headers).status_code == 403
    browser.log_in("omar")
    browser.open("/console/")
    assert browser.send("/console/logout", headers=headers).status_code == 403
    assert browser.door.count("console_sessions") == 1


@pytest.mark.parametrize("csrf", ["", "0" * 64, None])
def test_a_form_without_this_sessions_token_does_nothing(browser: Browser, csrf: str | None) -> None:
    browser.log_in("omar")
    browser.open("/console/")
    fields = browser.form("/console/logout")
    fields = {**fields, "csrf": csrf} if csrf is not None else {name: value for name, value in fields.items() if name != "csrf"}
    assert browser.client.post("/console/logout", data=fields).status_code == 403
    assert browser.door.count("console_sessions") == 1


def test_the_token_of_one_session_is_no_good_in_another(browser: Browser) -> None:
    browser.log_in("omar")
    browser.open("/console/")
    old = browser.form("/console/logout")
    browser.log_in("omar")
    assert browser.client.post("/console/logout", data=old).status_code == 403


@pytest.mark.parametrize("path", ["/console/", "/console/login", "/console/nothing-here", "/console/approvals/nonsense"])
def test_every_page_runs_only_our_own_files_and_is_kept_by_no_cache(browser: Browser, path: str) -> None:
    browser.log_in("omar")
    answer = browser.open(path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", answer.text)


def test_static_files_are_kept_for_ever_under_an_address_that_changes_with_them(browser: Browser) -> None:
    page = browser.open("/console/login").text
    addresses = re.findall(r'(?:href|src)="(/console/static/[^"]+)"', page)
    assert len(addresses) >= 3
    for address in addresses:
        found = browser.open(address)
        assert found.status_code == 200
        assert "immutable" in found.headers["cache-control"]
        assert found.headers["x-content-type-options"] == "nosniff"
    assert browser.open(re.sub(r"static/[0-9a-f]+/", "static/0123/", addresses[0])).status_code == 404
    assert browser.open("/console/static/0123/..%2fsession.py").status_code == 404


def test_what_somebody_wrote_is_text_and_never_markup(browser: Browser) -> None:
    mischief = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    approval_id = browser.door._proposed(
        "send_email", {"contact_id": "contact/globex", "subject": mischief, "body": mischief}, *_consenting(browser)
    )
    browser.log_in("omar")
    for path in ("/console/", f"/console/approvals/{approval_id}", f"/console/login?next={quote(mischief)}", f"/console/{quote(mischief)}"):
        page = browser.open(path).text
        assert "<script>alert" not in page
        assert "<img" not in page
    assert "&lt;script&gt;" in browser.open("/console/").text


def test_a_page_that_is_not_there_says_so_as_a_page(browser: Browser) -> None:
    browser.log_in("omar")
    answer = browser.open("/console/nothing-here")
    assert answer.status_code == 404
    assert "There is no such thing here" in answer.text
    assert "omar" in answer.text


def test_an_expired_session_while_typing_says_that_nothing_was_sent(browser: Browser) -> None:
    approval_id = browser.door.message()
    browser.log_in("omar")
    browser.open(f"/console/approvals/{approval_id}")
    fields = browser.form(f"/console/approvals/{approval_id}/decisions")
    age(browser, "expires_at = now()")
    answer = browser.client.post(f"/console/approvals/{approval_id}/decisions", data=fields)
    assert answer.status_code == 401
    assert "Nothing was sent" in answer.text
    assert browser.door.count("approval_decisions") == 0


def test_what_was_typed_when_the_session_ended_is_given_back_and_a_login_leads_to_its_page(browser: Browser) -> None:
    approval_id = browser.door.message()
    browser.log_in("omar")
    browser.open(f"/console/approvals/{approval_id}")
    fields = browser.form(f"/console/approvals/{approval_id}/decisions")
    age(browser, "expires_at = now()")
    typed = {"verdict": "edit", "p.body": "half an hour's work </textarea><b>", "reason": "a long reason"}
    answer = browser.client.post(f"/console/approvals/{approval_id}/decisions", data={**fields, **typed})
    assert answer.status_code == 401
    assert "half an hour&#39;s work &lt;/textarea&gt;" in answer.text
    assert "a long reason" in answer.text
    assert fields["csrf"] not in answer.text
    assert f'/console/login?next=/console/approvals/{approval_id}"' in answer.text


def test_only_what_a_person_wrote_is_given_back_and_never_a_key() -> None:
    form = Posted(
        {"key": ["sk.acme.0123.secret"], "csrf": ["x"], "digest": ["y"], "reason": ["why"], "p.body": ["text"], "p.subject": [" "]}
    )
    assert form.by_hand() == [("reason", "why"), ("body", "text")]


@pytest.mark.parametrize(
    ("form", "stands_on"),
    [
        ("/console/approvals/decisions", "/console/"),
        ("/console/approvals/x/decisions", "/console/approvals/x"),
        ("/console/automations/stop", "/console/automations"),
        ("/console/dead-letters/x/retry", "/console/dead-letters/x"),
        ("/console/logout", "/console/"),
    ],
)
def test_a_forms_address_that_is_opened_leads_to_the_page_it_stands_on(browser: Browser, form: str, stands_on: str) -> None:
    browser.log_in("omar")
    answer = browser.open(form)
    assert (answer.status_code, answer.headers.get("location")) == (303, stands_on)


@pytest.mark.parametrize("path", ["/console/login", "/console/", "/console/automations", "/console/static/mark.svg"])
def test_the_head_of_a_page_may_be_asked_for(browser: Browser, path: str) -> None:
    """Monitors and link checkers do; HEAD of the login led to the login, for ever."""
    browser.log_in("omar")
    whole, head = browser.open(path), browser.client.head(path)
    assert (head.status_code, head.headers["content-type"]) == (whole.status_code, whole.headers["content-type"])


def test_the_head_of_a_stream_is_not_waited_for(browser: Browser) -> None:
    browser.log_in("omar")
    assert browser.client.head("/console/stream").status_code == 303


def test_language_and_theme_are_chosen_without_a_session(browser: Browser) -> None:
    assert 'lang="en" dir="ltr"' in browser.open("/console/login").text
    assert 'lang="ar" dir="rtl"' in browser.open("/console/login", headers={"accept-language": "fr, ar;q=0.9, en;q=0.5"}).text
    answer = browser.client.post("/console/preferences", data={"language": "ar", "theme": "dark", "next": "/console/login"})
    assert answer.headers["location"] == "/console/login"
    page = browser.open("/console/login").text
    assert 'lang="ar" dir="rtl" data-theme="dark"' in page
    browser.client.post("/console/preferences", data={"language": "xx", "theme": "pink"})
    assert timeless(browser.open("/console/login").text) == timeless(page)


def _consenting(browser: Browser) -> tuple[str, str, str]:
    """Tenant, key and flow of a proposal to a contact that may be written to."""
    browser.door.message(key="lead-0", correlation_id="flow-0")
    return "acme", "lead-1", "flow-1"
