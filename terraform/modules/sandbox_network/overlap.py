"""Print the route of this machine that overlaps the given subnet, or nothing."""

import ipaddress
import json
import subprocess
import sys


def main() -> None:
    wanted = ipaddress.ip_network(sys.argv[1])
    routes = json.loads(
        subprocess.run(["ip", "-json", "-4", "route"], check=True, capture_output=True, text=True).stdout or "[]"
    )
    for route in routes:
        if route["dst"] != "default" and ipaddress.ip_network(route["dst"], strict=False).overlaps(wanted):
            print(f"{route['dst']} ({route.get('dev', '?')})")
            return


if __name__ == "__main__":
    main()
