"""Exact analysis of rule books over a declared finite world: who may do what, and what differs between two books."""
