"""A process beside the web service: `python -m guestbook.listener` logs each new entry."""

import time

from sqlalchemy import func, select

from .database import engine, entries


def main() -> None:
    """Look for new entries every second."""
    print("listening", flush=True)
    seen = None
    while True:
        with engine.connect() as connection:
            last = connection.execute(select(func.max(entries.c.id))).scalar() or 0
        if seen is not None and last > seen:
            print(f"entries up to {last}", flush=True)
        seen = last
        time.sleep(1)


if __name__ == "__main__":
    main()
