"""The table and the database engine."""

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
# It connects at first use, so it is safe with gunicorn's forks. The ping detects connections that a failover closed.
engine = create_engine(os.environ["DATABASE_URL"], pool_pre_ping=True)
