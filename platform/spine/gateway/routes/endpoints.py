"""Webhooks out: who is told of which events."""

from fastapi import APIRouter

router = APIRouter(tags=["webhooks"])
