"""A key may be that of a feed, which records rows of some kinds and does nothing else. Keys of before are of none."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_30_feed_keys"
down_revision = "2026_11_30_scope_and_retraction"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("keys", sa.Column("feed", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("keys", "feed")
