"""`python -m spine.gateway`: the composition root of the gateway's process."""

import gc
import signal
import sys
from types import FrameType
from urllib.parse import urlsplit

import uvicorn

from spine.errors import SpineError
from spine.gateway.app import create_app
from spine.gateway.services import Services
from spine.settings import Settings
from spine.telemetry import setup_logging, setup_telemetry, shutdown

# A request makes some thousand objects, and nearly all of them die without the collector: it need not look for circles every 700.
_GARBAGE = 20_000
# A request computes for two milliseconds or three between its waits: interrupted in that every five, it finds its caches gone.
_UNDISTURBED = 0.02  # seconds


def main() -> int:
    """Serve at `SPINE_GATEWAY_URL` until SIGTERM or SIGINT; calls under way get five seconds to end."""
    setup_logging("gateway")
    try:
        settings = Settings.load()
        setup_telemetry("spine-gateway", settings)
        services = Services.from_settings(settings)
    except SpineError as error:
        sys.stderr.write(f"{error.code}: {error}\n")
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)  # uvicorn ends its work first, then raises the signal again: without this it would kill us
    address = urlsplit(settings.gateway_url or "http://127.0.0.1:8000")
    app = create_app(services)
    gc.collect()
    gc.freeze()  # what is loaded by now stays: no collection looks through it again
    gc.set_threshold(_GARBAGE)
    sys.setswitchinterval(_UNDISTURBED)
    try:
        uvicorn.run(
            app,
            host=address.hostname or "127.0.0.1",
            port=address.port or 8000,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=5,
        )
    finally:
        services.close()
        shutdown()
    return 0


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
