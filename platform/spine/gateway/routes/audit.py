"""The audit log, its seals and its export."""

from fastapi import APIRouter

router = APIRouter(tags=["audit"])
