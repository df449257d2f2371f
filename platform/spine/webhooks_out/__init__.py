"""Webhooks out: those who asked are told what happened, signed by Standard Webhooks 1.0.

A webhook out is a notification about facts, to an address that an admin of the tenant registered; it is no effect of an automation, and
does not pass the gate (docs/decisions/0043). Endpoints and their secrets: `endpoints`; who may be told: `addresses`; the sending,
which runs in the triggers process: `deliver`; and the one place that speaks HTTP: `post`.
"""

from spine.webhooks_out.endpoints import (
    Delivery,
    Endpoint,
    add_endpoint,
    deliveries,
    enable_endpoint,
    endpoints,
    ping,
    remove_endpoint,
    rotate_secret,
    show_endpoint,
)

__all__ = [
    "Delivery",
    "Endpoint",
    "add_endpoint",
    "deliveries",
    "enable_endpoint",
    "endpoints",
    "ping",
    "remove_endpoint",
    "rotate_secret",
    "show_endpoint",
]
