"""Asks a policy engine whether somebody may use an AI model, and fails closed."""

from policy_engine_client.client import UNAVAILABLE, AsyncPolicyEngine, PolicyEngine
from policy_engine_client.documents import Answer, Obligation, Reason
from policy_engine_client.middleware import PolicyMiddleware
from policy_engine_client.question import Party, Place, Question

__all__ = [
    "UNAVAILABLE",
    "Answer",
    "AsyncPolicyEngine",
    "Obligation",
    "Party",
    "Place",
    "PolicyEngine",
    "PolicyMiddleware",
    "Question",
    "Reason",
]
