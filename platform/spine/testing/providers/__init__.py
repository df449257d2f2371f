"""E-mail, CRM and e-signature providers on loopback: real protocols, a ledger on disk, bad days on demand.

    with Providers(ledger=path) as providers:
        providers.smtp_url, providers.crm_url, providers.esign_url, providers.email_lookup_url
        providers.behaviour.add(Trouble(provider="email", mode="lose_answer"))
        providers.ledger.counts()["email"]["duplicates"]

As a process of its own: `python -m spine.testing.providers --help`.
"""

import threading
from pathlib import Path
from typing import Self

from spine.testing.providers.behaviour import Behaviour, Signing, Trouble
from spine.testing.providers.esign import Envelopes, Postman
from spine.testing.providers.ledger import ProviderLedger
from spine.testing.providers.mail import mail_server
from spine.testing.providers.web import Web

__all__ = ["Behaviour", "ProviderLedger", "Providers", "Signing", "Trouble"]


class Providers:
    """All three, as a context manager; port 0 chooses a free one, known after entering."""

    def __init__(
        self,
        *,
        ledger: Path | str,
        host: str = "127.0.0.1",
        smtp_port: int = 0,
        http_port: int = 0,
        signing: Signing | None = None,
        webhook_url: str | None = None,
        webhook_secret: str | None = None,
    ) -> None:
        self.ledger = ProviderLedger(ledger)
        self.behaviour = Behaviour(signing)
        self._host = host
        envelopes = Envelopes(self.ledger, self.behaviour)
        self._postman = Postman(self.ledger, envelopes, webhook_url, webhook_secret)
        self._web = Web(host, http_port, self.ledger, self.behaviour, envelopes)
        self._web_thread = threading.Thread(
            target=self._web.serve_forever, kwargs={"poll_interval": 0.05}, name="providers-web", daemon=True
        )
        self._mail = mail_server(host, smtp_port, self.ledger, self.behaviour)

    @property
    def smtp_url(self) -> str:
        return f"smtp://{self._host}:{self._mail.port}"

    @property
    def http_url(self) -> str:
        return f"http://{self._host}:{self._web.server_address[1]}"

    @property
    def email_lookup_url(self) -> str:
        return f"{self.http_url}/email/messages"

    @property
    def crm_url(self) -> str:
        return f"{self.http_url}/crm"

    @property
    def esign_url(self) -> str:
        return f"{self.http_url}/esign"

    def settings(self) -> dict[str, str]:
        """As overrides of `spine.settings.Settings`."""
        return {
            "email_smtp_url": self.smtp_url,
            "email_lookup_url": self.email_lookup_url,
            "crm_url": self.crm_url,
            "esign_url": self.esign_url,
        }

    def send_webhooks_to(self, url: str) -> None:
        self._postman.url = url

    def __enter__(self) -> Self:
        self._mail.start()
        self._web_thread.start()
        self._postman.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._postman.stop()
        self._mail.stop()
        self._web.shutdown()
        self._web_thread.join()
        self._web.server_close()
        self.ledger.close()
