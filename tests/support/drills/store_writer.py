"""Runs on an application host (`news python -c`) and writes to the store as fast as drills need, with the application's own client.

One JSON line a write: when it was acknowledged, and its number. Standard input ends it. With an address it writes to that instance, as
a client does that is on the wrong side of a cut and has not asked a Sentinel since.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import threading
import time

from redis.exceptions import RedisError

from app.redis.url import RedisUrl

PAUSE = 0.02


def main() -> None:
    """Write until standard input ends."""
    key, address = sys.argv[1], sys.argv[2]
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    url = RedisUrl.parse(os.environ["STORE_URL"])
    if address:
        url = dataclasses.replace(url, hosts=((address, 6380),), master=None)
    client = url.client(timeout=1.0)
    number = 0
    while True:
        number += 1
        try:
            # A transaction, as Celery's transport makes them: a server may lose these and keep single commands.
            transaction = client.pipeline(transaction=True)
            transaction.rpush(key, number)
            transaction.execute()
            print(json.dumps([time.time(), number]), flush=True)
        except RedisError:
            pass
        time.sleep(PAUSE)


main()
