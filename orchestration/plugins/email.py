"""E-mail over SMTP.

SMTP recognises no repetition, so a message carries its identity: the Message-ID is derived from the idempotency key, and after
an unheard answer `find` asks the provider's log for it instead of sending again. Where no log can be asked, the outcome stays
unknown until a person looks: that is the honest answer, and never a second send.
"""

import hashlib
import smtplib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import formatdate, parseaddr
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, SecretStr, StringConstraints

from orchestration.plugins.http import Provider
from orchestration.plugins.payload import ActionPayload, Line
from spine.errors import Misconfigured, OutcomeUnknown, ProviderRefused, ProviderUnavailable
from spine.settings import Settings

_CONNECT_SECONDS = 5
_ANSWER_SECONDS = 15  # the server may scan before it accepts


class SendEmail(ActionPayload):
    contact_id: Line
    subject: Annotated[Line, StringConstraints(max_length=150)]
    body: Annotated[str, StringConstraints(min_length=1, max_length=20_000)]


class NotifyOwner(SendEmail):
    """A note to whoever owns the automation; nobody outside reads it."""


class EmailPlugin:
    name: ClassVar[str] = "email"
    actions: ClassVar[Mapping[str, type[BaseModel]]] = {"send_email": SendEmail, "notify_owner": NotifyOwner}

    def __init__(self, *, smtp_url: SecretStr, sender: str, lookup_url: str | None) -> None:
        url = urlsplit(smtp_url.get_secret_value())
        if url.scheme not in ("smtp", "smtps") or not url.hostname:
            raise Misconfigured("SPINE_EMAIL_SMTP_URL is not smtp[s]://[user:password@]host:port")
        self._tls = url.scheme == "smtps"
        self._host, self._port = url.hostname, url.port or (465 if self._tls else 25)
        self._login = (unquote(url.username), unquote(url.password or "")) if url.username else None
        self._sender = sender
        self._mailbox = parseaddr(sender)[1]
        if "@" not in self._mailbox:
            raise Misconfigured(f"SPINE_EMAIL_SENDER={sender!r} has no address in it: write Name <name@domain>")
        self._log = Provider("the mail log", lookup_url, None) if lookup_url else None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        smtp_url = SecretStr(settings.require("email_smtp_url"))
        return cls(smtp_url=smtp_url, sender=settings.email_sender, lookup_url=settings.email_lookup_url)

    def close(self) -> None:
        if self._log is not None:
            self._log.close()

    def perform(self, tenant_id: str, payload: dict[str, Any]) -> dict[str, Any]:
        asked = SendEmail.of(payload)
        message = self._message(tenant_id, asked)
        with self._session() as session:
            _hand_over(session, self._mailbox, asked.recipient(), message.as_bytes(policy=SMTP_POLICY))
        return self._receipt(tenant_id, asked)

    def find(self, tenant_id: str, payload: dict[str, Any]) -> dict[str, Any] | None:
        asked = SendEmail.of(payload)
        if self._log is None:
            raise OutcomeUnknown("whether the message was sent cannot be asked: set SPINE_EMAIL_LOOKUP_URL, or settle it by hand")
        found = self._log.ask("", message_id=self.message_id(tenant_id, asked.idempotency_key))
        return None if found is None else self._receipt(tenant_id, asked)

    def message_id(self, tenant_id: str, idempotency_key: str) -> str:
        """The same for the same key, and telling a reader nothing."""
        digest = hashlib.sha256(f"{tenant_id}\x1f{idempotency_key}".encode()).hexdigest()
        return f"<{digest[:40]}@{self._mailbox.rpartition('@')[2]}>"

    def _receipt(self, tenant_id: str, asked: SendEmail) -> dict[str, Any]:
        return {"reference": self.message_id(tenant_id, asked.idempotency_key), "observed": {"contact_id": asked.contact_id}}

    def _message(self, tenant_id: str, asked: SendEmail) -> EmailMessage:
        message = EmailMessage(policy=SMTP_POLICY)
        message["From"] = self._sender
        message["To"] = asked.recipient()
        message["Subject"] = asked.subject
        message["Date"] = formatdate(localtime=False)
        message["Message-ID"] = identity = self.message_id(tenant_id, asked.idempotency_key)
        if asked.action == "send_email":  # RFC 2369; the identity tells us whose wish it is without naming them
            message["List-Unsubscribe"] = f"<mailto:{self._mailbox}?subject=unsubscribe%20{identity[1:9]}>"
        message.set_content(asked.body)
        return message

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        kind = smtplib.SMTP_SSL if self._tls else smtplib.SMTP
        try:
            session = kind(self._host, self._port, timeout=_CONNECT_SECONDS)
        except (OSError, smtplib.SMTPException) as error:
            raise ProviderUnavailable(f"the mail server could not be reached: {type(error).__name__}") from error
        try:
            session.timeout = _ANSWER_SECONDS
            if session.sock is not None:
                session.sock.settimeout(_ANSWER_SECONDS)
            yield session
        finally:
            session.close()  # no QUIT: what was accepted is accepted, and a server that does not answer it must not cost us the answer


def _hand_over(session: smtplib.SMTP, sender: str, recipient: str, content: bytes) -> None:
    """Up to the last line nothing has happened; from the first byte of the content on, only the server knows."""
    try:
        session.ehlo_or_helo_if_needed()
        for code, _answer in (session.mail(sender), session.rcpt(recipient), session.docmd("DATA")):
            _refuse_unless(code, 354 if code == 354 else 250)
    except (OSError, smtplib.SMTPException) as error:
        raise ProviderUnavailable(f"the mail server hung up before it had the message: {type(error).__name__}") from error
    try:
        session.send(_dotted(content))
        code, _answer = session.getreply()
    except (OSError, smtplib.SMTPException) as error:
        raise OutcomeUnknown(f"the mail server took the message and did not answer: {type(error).__name__}") from error
    _refuse_unless(code, 250)


def _refuse_unless(code: int, wanted: int) -> None:
    if code == wanted:
        return
    if 400 <= code < 500:
        raise ProviderUnavailable(f"the mail server answered {code}: not now")
    raise ProviderRefused(f"the mail server answered {code}: it does not want this message")


def _dotted(content: bytes) -> bytes:
    """Transparency and end of data (RFC 5321 §4.5.2)."""
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines) + b".\r\n"
