"""What the tables are written with: the names of constraints, and the columns that most of them have."""

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def number() -> sa.Column[int]:
    """The primary key `id`, given by the database."""
    return sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True)


def created() -> sa.Column[object]:
    """When the row was made, by the database's clock."""
    return sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False)


def owner(column: str, target: str) -> sa.Column[int]:
    """A part of `target`: it goes when the whole goes."""
    return sa.Column(column, sa.BigInteger, sa.ForeignKey(target, ondelete="CASCADE"), nullable=False)


def trace(column: str, target: str, *, cycle: str | None = None, indexed: bool = False) -> sa.Column[int | None]:
    """Where something came from, or what is active; forgotten, not followed, when `target` goes.

    `cycle` names the constraint where two tables point at each other. `indexed` where targets go with their comic:
    for each of them PostgreSQL looks for the traces it left, in all rows if it must.
    """
    key = sa.ForeignKey(target, ondelete="SET NULL", use_alter=cycle is not None, name=cycle)
    return sa.Column(column, sa.BigInteger, key, index=indexed)


def one_of(column: str, *values: str) -> sa.CheckConstraint:
    """Only these values."""
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=column)
