"""The one table, and the engine that reaches it."""

from __future__ import annotations

import os

from sqlalchemy import Column, Integer, MetaData, String, Table, Text, create_engine

metadata = MetaData()
entries = Table(
    "entry",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("guest", String(80), nullable=False),
    Column("message", Text, nullable=False),
    Column("thanks", Text),
)
# Connects at its first use, so gunicorn may fork before. The ping finds connections that a failover has ended.
engine = create_engine(os.environ["DATABASE_URL"], pool_pre_ping=True)
