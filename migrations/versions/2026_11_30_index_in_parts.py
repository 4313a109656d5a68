"""The index of decisions says by parts of the log which decisions have a value, instead of by a row for each.

A decision cost some twenty entries of B-trees; now a part of 1,024 entries costs one for each value that occurs in it.
The index is marked to be made again: the service does so in the background, and `log` commands before they answer.
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_30_index_in_parts"
down_revision = "2026_11_30_webhook_cursors"
branch_labels = None
depends_on = None

REBUILT = "UPDATE decision_index_progress SET next_index = -1 WHERE next_index > 0"
ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
FOUND_BY = (
    "decision",
    "hold",
    "subject",
    "place_country",
    "model",
    "tier",
    "action",
    "gateway",
    "policy_version",
    "request_id",
    "caller",
)


def upgrade() -> None:
    for column in FOUND_BY:
        op.drop_index(f"ix_decision_index_{column}_at_log_index", "decision_index")
    op.drop_index("ix_decision_index_at_log_index", "decision_index")
    for column in ("subject", "request_id"):
        op.create_index(f"ix_decision_index_{column}_log_index", "decision_index", [column, "log_index"])
    op.drop_table("decision_marks")
    op.create_table(
        "decision_parts",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("part", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("members", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "value", "part", name="pk_decision_parts"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_decision_parts_part", "decision_parts", ["part"])
    op.create_table(
        "decision_spans",
        sa.Column("part", ROW_NUMBER, autoincrement=False, nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("members", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("part", name="pk_decision_spans"),
    )
    op.execute(REBUILT)


def downgrade() -> None:
    op.drop_table("decision_spans")
    op.drop_table("decision_parts")
    op.create_table(
        "decision_marks",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("log_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("kind", "value", "at", "log_index", name="pk_decision_marks"),
        sqlite_with_rowid=False,
    )
    for column in ("subject", "request_id"):
        op.drop_index(f"ix_decision_index_{column}_log_index", "decision_index")
    op.create_index("ix_decision_index_at_log_index", "decision_index", ["at", "log_index"])
    for column in FOUND_BY:
        op.create_index(f"ix_decision_index_{column}_at_log_index", "decision_index", [column, "at", "log_index"])
    op.execute(REBUILT)
