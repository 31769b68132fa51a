"""Runs on an application host (`news python -c`) and writes through HAProxy with psycopg2, without any time limit.

It prints one JSON line for each acknowledged write: its time and number. It exits at the end of its input.
"""

import json
import os
import sys
import threading
import time

import psycopg2
from sqlalchemy import make_url

PAUSE = 0.02


def main() -> None:
    """Write until standard input ends."""
    table, port = sys.argv[1], int(sys.argv[2])
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    url = make_url(os.environ["DATABASE_URL"])
    connection, number = None, 0
    while True:
        number += 1
        try:
            if connection is None:
                connection = psycopg2.connect(
                    host="127.0.0.1", port=port, user=url.username, password=url.password, dbname=url.database
                )
            with connection, connection.cursor() as cursor:
                cursor.execute(f"insert into {table} values (%s)", (number,))
            print(json.dumps([time.time(), number]), flush=True)
        except psycopg2.Error:
            if connection:
                connection.close()
            connection = None
        time.sleep(PAUSE)


main()
