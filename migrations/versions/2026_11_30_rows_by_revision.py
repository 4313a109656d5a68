"""Rows of the members are found by the revision that recorded them: a process that holds one reads what came since."""

from alembic import op

revision = "2026_11_30_rows_by_revision"
down_revision = "2026_11_30_index_in_parts"
branch_labels = None
depends_on = None

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
    for table in ROSTER:
        op.create_index(f"ix_{table}_revision", table, ["revision"])


def downgrade() -> None:
    for table in ROSTER:
        op.drop_index(f"ix_{table}_revision", table)
