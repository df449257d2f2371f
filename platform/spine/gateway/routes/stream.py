"""Server-sent events for live pages."""

from fastapi import APIRouter

router = APIRouter(tags=["stream"])
