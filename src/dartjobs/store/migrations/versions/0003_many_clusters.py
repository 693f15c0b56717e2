"""clusters that an operator registers, before they are seen; attempts that avoid one."""

import sqlalchemy as sa

from dartjobs.store.migrations import steps

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Apply it."""
    for column in (
        sa.Column("settings", steps.JSON),
        sa.Column("added_at", sa.BigInteger()),
        sa.Column("added_by", sa.String(length=255)),
    ):
        steps.add_column("clusters", column)
    steps.loosen("clusters", {"identity": sa.String(length=64), "capacity": steps.JSON, "seen_at": sa.BigInteger()})
    steps.add_column("attempts", sa.Column("avoid", sa.String(length=63)))
