"""The index of decisions, derived from the committed records.

These tables may be emptied and filled again at any time, so nothing refuses their change.
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_22_decision_index"
down_revision = "2026_11_21_policy_desk"
branch_labels = None
depends_on = None

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
)


def _text(name: str, *, null: bool = True) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=null)


def upgrade() -> None:
    op.create_table(
        "decision_index",
        sa.Column("log_index", ROW_NUMBER, autoincrement=False, nullable=False),
        _text("id", null=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        _text("decision", null=False),
        sa.Column("hold", sa.Boolean(), nullable=False),
        _text("reason"),
        _text("subject"),
        _text("subject_type"),
        _text("place_country"),
        _text("model"),
        _text("tier"),
        _text("action"),
        _text("gateway"),
        _text("caller", null=False),
        _text("policy_version"),
        _text("request_id"),
        sa.PrimaryKeyConstraint("log_index", name="pk_decision_index"),
    )
    op.create_index("ix_decision_index_at_log_index", "decision_index", ["at", "log_index"])
    for column in FOUND_BY:
        op.create_index(f"ix_decision_index_{column}_at_log_index", "decision_index", [column, "at", "log_index"])
    op.create_table(
        "decision_marks",
        _text("kind", null=False),
        _text("value", null=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("log_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("kind", "value", "at", "log_index", name="pk_decision_marks"),
        sqlite_with_rowid=False,
    )
    progress = op.create_table(
        "decision_index_progress",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("next_index", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_decision_index_progress"),
        sa.CheckConstraint("id = 1", name="ck_decision_index_progress_single"),
    )
    op.bulk_insert(progress, [{"id": 1, "next_index": 0}])


def downgrade() -> None:
    for name in ("decision_index_progress", "decision_marks", "decision_index"):
        op.drop_table(name)
