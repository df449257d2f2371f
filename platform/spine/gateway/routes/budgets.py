"""Budgets: what is reserved, spent and left."""

from fastapi import APIRouter

router = APIRouter(tags=["budgets"])
