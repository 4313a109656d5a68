"""Members are told more of: what an authorisation is restricted to, ranges of shares, seats, validity of accounts.

A row of any kind may also be recorded as retracted. What was recorded before has none of this and means what it meant.
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_30_scope_and_retraction"
down_revision = "2026_11_28_used_authorisations"
branch_labels = None
depends_on = None

ADDED = {
    "accounts": {"valid_from": sa.BigInteger(), "valid_to": sa.BigInteger()},
    "memberships": {"seats": sa.BigInteger(), "credit": sa.Text()},
    "stakes": {"minimum": sa.Text(), "maximum": sa.Text()},
    "authorisations": {
        "persons": sa.Text(),
        "nationalities": sa.Text(),
        "employees_only": sa.Boolean(),
        "purposes": sa.Text(),
    },
    "listings": {"programmes": sa.Text(), "requirement": sa.Text()},
}
ROSTER = (
    "organisations",
    "people",
    "employments",
    "us_statuses",
    "citizenships",
    "permanent_residencies",
    "accounts",
    "consortia",
    "memberships",
    "stakes",
    "authorisations",
    "draws",
    "listings",
    "statements",
    "cluster_readings",
)


def upgrade() -> None:
    for table, columns in ADDED.items():
        for name, kind in columns.items():
            op.add_column(table, sa.Column(name, kind))
    for table in ROSTER:
        op.add_column(table, sa.Column("retracted", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    for table in ROSTER:
        op.drop_column(table, "retracted")
    for table, columns in ADDED.items():
        for name in columns:
            op.drop_column(table, name)
