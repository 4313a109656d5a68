"""The last epochs say what changed with them, so that a decision which read none of it is committed as it was made."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_30_changed_names"
down_revision = "2026_11_30_rows_by_revision"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "changed_names",
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("view", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("epoch", "view", "name", name="pk_changed_names"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("changed_names")
