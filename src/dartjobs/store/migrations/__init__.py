"""Alembic migrations; the first creates everything."""
