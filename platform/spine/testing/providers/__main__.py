"""`python -m spine.testing.providers`: the three providers as one process, until SIGTERM or Ctrl-C."""

import argparse
import os
import signal
import threading
from pathlib import Path

from spine.testing.providers import Providers, Signing


def main() -> None:
    arguments = argparse.ArgumentParser(prog="spine.testing.providers", description=__doc__)
    arguments.add_argument("--host", default="127.0.0.1")
    arguments.add_argument("--smtp-port", type=int, default=0)
    arguments.add_argument("--http-port", type=int, default=0)
    arguments.add_argument("--ledger", type=Path, required=True, help="SQLite file; what it holds survives a restart")
    arguments.add_argument("--webhook-url", help="where the e-signature provider reports envelopes; {tenant_id} is filled in")
    arguments.add_argument(
        "--webhook-secret", default=os.environ.get("SPINE_ESIGN_WEBHOOK_SECRET"), help="whsec_…; default: $SPINE_ESIGN_WEBHOOK_SECRET"
    )
    arguments.add_argument("--sign-after", type=float, default=0.5, help="seconds until signers answer")
    arguments.add_argument("--decline-marker", default="decline", help="accounts or deals with this in their name are declined")
    given = arguments.parse_args()
    given.ledger.parent.mkdir(parents=True, exist_ok=True)
    stopping = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopping.set())
    with Providers(
        ledger=given.ledger,
        host=given.host,
        smtp_port=given.smtp_port,
        http_port=given.http_port,
        signing=Signing(after_seconds=given.sign_after, decline_marker=given.decline_marker),
        webhook_url=given.webhook_url,
        webhook_secret=given.webhook_secret,
    ) as providers:
        print(f"providers ready: {providers.smtp_url} {providers.http_url}", flush=True)  # noqa: T201 - the supervisor waits for this line
        stopping.wait()


if __name__ == "__main__":
    main()
