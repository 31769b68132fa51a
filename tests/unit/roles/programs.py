"""Programs that tests run: those of this machine, or of Debian's packages, unpacked without installing them."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from functools import cache

from tools.fleet.context import ROOT


@cache
def find_program(name: str, version: str, *packages: str) -> str:
    """Return a program of this machine, or of one of Debian's packages; empty if there is none that runs."""
    if found := shutil.which(name, path=f"{os.environ['PATH']}:/usr/local/sbin:/usr/sbin"):
        return found
    unpacked = ROOT / ".cache" / name
    here = f"{unpacked}/usr/sbin:{unpacked}/usr/bin"
    unpacked.mkdir(parents=True, exist_ok=True)
    with (unpacked / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        for package in packages if shutil.which("apt-get") and shutil.which("dpkg") else ():
            if not shutil.which(name, path=here):
                download = ["apt-get", "-o", "APT::Sandbox::User=root", "download", "-qq", package]
                subprocess.run(download, cwd=unpacked, capture_output=True, timeout=120, check=False)
                for archive in unpacked.glob(f"{package}_*.deb"):
                    subprocess.run(["dpkg", "-x", archive, unpacked], check=True, timeout=60)
                    archive.unlink()
    found = shutil.which(name, path=here)
    if found and subprocess.run([found, version], capture_output=True, check=False).returncode == 0:
        return found
    return ""
