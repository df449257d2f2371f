"""The approver directory: who may sign for what, and who stands in."""

from fastapi import APIRouter

router = APIRouter(tags=["approvers"])
