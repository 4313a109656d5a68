"""The policy desk: changes in the log of the decisions, long content by its digest, review cases, years of the log.

All of them only grow, like every record.
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_21_policy_desk"
down_revision = "2026_11_20_first_tables"
branch_labels = None
depends_on = None

ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ONLY_GROW = ("changes", "blobs", "log_years", "reviews")


def _text(name: str, *, null: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=null)


def upgrade() -> None:
    op.create_table(
        "changes",
        sa.Column("log_index", ROW_NUMBER, autoincrement=False, nullable=False),
        _text("id"),
        _text("kind"),
        sa.Column("at", sa.BigInteger(), nullable=False),
        _text("actor"),
        _text("person", null=True),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log_index", name="pk_changes"),
        sa.UniqueConstraint("id", name="uq_changes_id"),
    )
    op.create_index("ix_changes_kind_log_index", "changes", ["kind", "log_index"])
    op.create_table(
        "blobs",
        _text("digest"),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_blobs"),
    )
    op.create_table(
        "log_years",
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first_index", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("year", name="pk_log_years"),
    )
    op.create_table(
        "reviews",
        _text("id"),
        _text("subject"),
        _text("model"),
        _text("action"),
        _text("purpose"),
        _text("rule"),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        _text("decision"),
        sa.PrimaryKeyConstraint("id", name="pk_reviews"),
    )
    op.create_index("ix_reviews_opened_at", "reviews", ["opened_at"])
    op.create_index("ix_decisions_decided_at", "decisions", ["decided_at"])
    if op.get_context().dialect.name == "postgresql":
        for name in ONLY_GROW:
            op.execute(
                f"CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON {name}"
                " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
            )
    else:
        for name in ONLY_GROW:
            for change in ("update", "delete"):
                op.execute(
                    f"CREATE TRIGGER {name}_refuse_{change} BEFORE {change} ON {name} BEGIN"
                    f" SELECT RAISE(ABORT, 'table {name} only grows: what is recorded is never changed'); END"
                )


def downgrade() -> None:
    op.drop_index("ix_decisions_decided_at", "decisions")
    for name in reversed(ONLY_GROW):
        op.drop_table(name)
