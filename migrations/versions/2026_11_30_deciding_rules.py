"""The index of decisions has the rules that decided in a column of its own, and what a record has nothing of.

The index is marked to be made again: the service does so in the background, and `log` commands before they answer.
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_30_deciding_rules"
down_revision = "2026_11_30_feed_keys"
branch_labels = None
depends_on = None

REBUILT = "UPDATE decision_index_progress SET next_index = -1 WHERE next_index > 0"


def upgrade() -> None:
    op.add_column("decision_index", sa.Column("deciding_rules", sa.Text(), nullable=True))
    op.execute(REBUILT)


def downgrade() -> None:
    op.drop_column("decision_index", "deciding_rules")
    op.execute(REBUILT)
