"""The index of decisions finds an authorisation by what it lifted or granted, no longer by its being usable.

What was derived before means something else, so the index is marked to be made again: the service does so in the
background, and `log` commands before they answer. Decisions are also found by the key that asked.
"""

from alembic import op

revision = "2026_11_28_used_authorisations"
down_revision = "2026_11_22_decision_index"
branch_labels = None
depends_on = None


INDEX = "ix_decision_index_caller_at_log_index"


def upgrade() -> None:
    op.create_index(INDEX, "decision_index", ["caller", "at", "log_index"])
    op.execute("UPDATE decision_index_progress SET next_index = -1 WHERE next_index > 0")


def downgrade() -> None:
    op.drop_index(INDEX, "decision_index")
    op.execute("UPDATE decision_index_progress SET next_index = -1 WHERE next_index > 0")
