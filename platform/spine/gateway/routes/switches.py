"""Kill switches: stop new effects at once, let them go on again."""

from fastapi import APIRouter

router = APIRouter(tags=["kill switches"])
