"""What the gate would say, and why: the table, an explanation, canary groups."""

from fastapi import APIRouter

router = APIRouter(tags=["policy"])
