"""Reasoning that ends in a typed proposal, and never in an effect.

What an activity needs is here and light to import: LangGraph and the model libraries are loaded when a graph first runs.
"""

from orchestration.graphs.lead_qualification.nodes import baseline_draft
from orchestration.graphs.lead_qualification.state import LeadFacts, Outcome, OutreachProposal
from orchestration.graphs.runner import GraphRunner

__all__ = ["GraphRunner", "LeadFacts", "Outcome", "OutreachProposal", "baseline_draft"]
