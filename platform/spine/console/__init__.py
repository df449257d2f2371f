"""The operator's console: server-rendered pages on the gateway, under /console."""

from fastapi import FastAPI


def install(app: FastAPI) -> None:
    """Add the pages to the gateway's application, outside its OpenAPI document."""
