"""A mail server that accepts, writes down, and never forwards."""

import asyncio
from email import message_from_bytes, policy
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from spine.stack.ports import free_port
from spine.testing.providers.behaviour import Behaviour
from spine.testing.providers.ledger import ProviderLedger


class Mailbox:
    """aiosmtpd's handler. Like a real server it does not recognise repetitions: the same Message-ID twice is two mails."""

    def __init__(self, ledger: ProviderLedger, behaviour: Behaviour) -> None:
        self._ledger = ledger
        self._behaviour = behaviour

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        mail = message_from_bytes(bytes(envelope.original_content or b""), policy=policy.default)
        body = mail.get_body(("plain",))
        content: dict[str, Any] = {
            "message_id": str(mail["Message-ID"] or ""),
            "from": str(mail["From"] or ""),
            "to": list(envelope.rcpt_tos),
            "subject": str(mail["Subject"] or ""),
            "list_unsubscribe": str(mail["List-Unsubscribe"] or ""),
            "text": body.get_content().replace("\r\n", "\n") if body else "",
        }
        trouble = self._behaviour.next("email", f"{content['subject']}\n{content['text']}\n{content['to']}")
        match trouble.mode if trouble else None:
            case "refuse":
                return "550 5.7.1 this message is not wanted here"
            case "unavailable":
                return "421 4.3.2 come back later"
            case "hang":
                await asyncio.sleep(trouble.delay_seconds if trouble else 0)
                return self._hang_up(server)
            case "slow":
                await asyncio.sleep(trouble.delay_seconds if trouble else 0)
        self._ledger.keep("email", content["message_id"], content["message_id"], content)
        self._ledger.record("email", "message", content["message_id"], content, made=True)
        if trouble and trouble.mode == "lose_answer":
            return self._hang_up(server)
        if trouble and trouble.mode == "late":
            await asyncio.sleep(trouble.delay_seconds)
        return f"250 2.0.0 accepted {content['message_id']}"

    @staticmethod
    def _hang_up(server: SMTP) -> str:
        if isinstance(server.transport, asyncio.WriteTransport):
            server.transport.abort()
        return "421 4.3.2 hung up"


def mail_server(host: str, port: int, ledger: ProviderLedger, behaviour: Behaviour) -> Controller:
    """Not started yet; `start()` returns when the port answers. Port 0 is a free one: the controller itself does not resolve it."""
    return Controller(Mailbox(ledger, behaviour), hostname=host, port=port or free_port(), ready_timeout=10)
