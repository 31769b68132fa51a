"""Runs on an application host (`news python -c`) and writes to the store with the application's own client.

It prints one JSON line for each acknowledged write: its time and number. It exits at the end of its input. With an
address it writes to that instance, like a client that is cut off together with the old master and has not queried a
Sentinel since. With the word `proxy` it writes to REDIS_URL, like an ordinary client without any time limit.
"""

import dataclasses
import json
import os
import sys
import threading
import time

from redis import Redis
from redis.exceptions import RedisError

from app.redis.url import RedisUrl

PAUSE = 0.02


def main() -> None:
    """Write until standard input ends."""
    key, address = sys.argv[1], sys.argv[2]
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    url = RedisUrl.parse(os.environ["STORE_URL"])
    if address == "proxy":
        client = Redis.from_url(os.environ["REDIS_URL"])
    else:
        if address:
            url = dataclasses.replace(url, hosts=((address, 6380),), master=None)
        client = url.client(timeout=1.0)
    number = 0
    while True:
        number += 1
        try:
            # A transaction, as in Celery's transport: a server may lose transactions even where it keeps single
            # commands.
            transaction = client.pipeline(transaction=True)
            transaction.rpush(key, number)
            transaction.execute()
            print(json.dumps([time.time(), number]), flush=True)
        except RedisError:
            pass
        time.sleep(PAUSE)


main()
