"""What nobody will try again by himself."""

from fastapi import APIRouter

router = APIRouter(tags=["dead letters"])
