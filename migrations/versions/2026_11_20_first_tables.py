"""The first tables: control counters, revisions, members, decisions and keys.

What is recorded only grows: triggers refuse to change or remove it, whoever asks.
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_20_first_tables"
down_revision = None
branch_labels = None
depends_on = None

ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str, *, null: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=null)


def _number(name: str, *, null: bool = False) -> sa.Column:
    return sa.Column(name, sa.BigInteger(), nullable=null)


def _flag(name: str, *, null: bool = False) -> sa.Column:
    return sa.Column(name, sa.Boolean(), nullable=null)


VALIDITY = ("valid_from", "valid_to")

# The columns of each kind of membership row, whether it has an interval, and what it is looked up by.
MEMBERS = {
    "organisations": (
        lambda: (
            _text("id"),
            _text("name", null=True),
            _text("kind", null=True),
            _text("incorporated", null=True),
            _text("headquarters", null=True),
            _text("contract_country", null=True),
            _text("sector", null=True),
            _flag("reseller", null=True),
            _text("identifiers", null=True),
            _text("aliases", null=True),
        ),
        (),
        ("id",),
    ),
    "people": (
        lambda: (
            _text("id"),
            _flag("employments_filed"),
            _flag("us_status_filed"),
            _flag("citizenships_filed"),
            _flag("permanent_residencies_filed"),
        ),
        (),
        ("id",),
    ),
    "employments": (lambda: (_text("person"), _text("organisation"), _text("kind")), VALIDITY, ("person",)),
    "us_statuses": (lambda: (_text("person"), _text("kind")), VALIDITY, ("person",)),
    "citizenships": (lambda: (_text("person"), _text("country")), VALIDITY, ("person",)),
    "permanent_residencies": (lambda: (_text("person"), _text("country")), VALIDITY, ("person",)),
    "accounts": (
        lambda: (
            _text("id"),
            _text("kind"),
            _text("organisation"),
            _text("person", null=True),
            _text("gateway", null=True),
            _text("cluster", null=True),
        ),
        (),
        ("id",),
    ),
    "consortia": (lambda: (_text("id"), _text("name", null=True)), (), ("id",)),
    "memberships": (
        lambda: (_text("organisation"), _text("consortium"), _text("status")),
        VALIDITY,
        ("organisation",),
    ),
    "stakes": (
        lambda: (_text("owner"), _text("owned"), _text("percent", null=True), _text("evidence", null=True)),
        VALIDITY,
        ("owned",),
    ),
    "authorisations": (
        lambda: (
            _text("id"),
            _text("regime"),
            _text("kind"),
            _text("holder"),
            _text("models"),
            _text("actions"),
            _text("countries", null=True),
            _number("named_users", null=True),
            _text("conditions"),
        ),
        VALIDITY,
        ("id",),
    ),
    "draws": (lambda: (_text("authorisation"), _text("person"), _number("at")), (), ("authorisation", "person")),
    "listings": (
        lambda: (
            _text("party"),
            _text("list"),
            _text("entry", null=True),
            _text("entry_version", null=True),
            _text("reference", null=True),
            _text("status"),
            _text("cleared_version", null=True),
        ),
        VALIDITY,
        ("party",),
    ),
    "statements": (lambda: (_text("organisation"), _text("kind")), VALIDITY, ("organisation",)),
    "cluster_readings": (
        lambda: (
            _text("id"),
            _text("shared", null=True),
            _number("accounts", null=True),
            _number("exchanges_24h", null=True),
            _number("as_of"),
        ),
        (),
        ("id",),
    ),
}

ONLY_GROW = ("revisions", "decisions", *MEMBERS)


def upgrade() -> None:
    controls = op.create_table(
        "controls",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        _number("epoch"),
        _number("membership_revision"),
        sa.PrimaryKeyConstraint("id", name="pk_controls"),
        sa.CheckConstraint("id = 1", name="ck_controls_single"),
    )
    op.bulk_insert(controls, [{"id": 1, "epoch": 0, "membership_revision": 0}])
    op.create_table(
        "revisions",
        sa.Column("number", ROW_NUMBER, autoincrement=False, nullable=False),
        _number("recorded_at"),
        _text("actor"),
        _text("reason"),
        _number("added"),
        sa.PrimaryKeyConstraint("number", name="pk_revisions"),
    )
    for name, (columns, interval, found_by) in MEMBERS.items():
        op.create_table(
            name,
            sa.Column("row_id", ROW_NUMBER, sa.Identity(always=True), nullable=False),
            *columns(),
            *(_number(column, null=True) for column in interval),
            _number("recorded_at"),
            _number("revision"),
            sa.PrimaryKeyConstraint("row_id", name=f"pk_{name}"),
            sa.ForeignKeyConstraint(["revision"], ["revisions.number"], name=f"fk_{name}_revision"),
        )
        op.create_index(f"ix_{name}_{'_'.join(found_by)}", name, list(found_by))
    op.create_table(
        "decisions",
        sa.Column("log_index", ROW_NUMBER, autoincrement=False, nullable=False),
        _text("id"),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        _number("decided_at"),
        _number("valid_until"),
        _flag("allowed"),
        _flag("hold"),
        _text("caller"),
        _text("request_id", null=True),
        _text("request_digest"),
        _number("control_epoch"),
        sa.Column("attempt", sa.Integer(), nullable=False),
        _text("retry_of", null=True),
        sa.PrimaryKeyConstraint("log_index", name="pk_decisions"),
        sa.UniqueConstraint("id", name="uq_decisions_id"),
        sa.UniqueConstraint("request_id", "caller", "attempt", name="uq_decisions_request_id_caller_attempt"),
    )
    op.create_table(
        "keys",
        _text("id"),
        _text("name"),
        _text("secret_hash"),
        _text("rights"),
        _text("gateway", null=True),
        _text("person", null=True),
        _text("assertable"),
        _number("created_at"),
        _number("revoked_at", null=True),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
        sa.UniqueConstraint("secret_hash", name="uq_keys_secret_hash"),
    )
    if op.get_context().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE EXCEPTION 'table % only grows: what is recorded is never changed', TG_TABLE_NAME; END $$"
        )
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
    for name in ("keys", "decisions", *reversed(MEMBERS), "revisions", "controls"):
        op.drop_table(name)
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change()")
