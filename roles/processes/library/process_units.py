#!/usr/bin/python
"""Keep the units of a release's processes and timers in its folder, and install them with the release."""

import hashlib
import re
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: process_units
short_description: Keep the units of a release's processes and timers in its folder, and install them with the release
description:
  - The units belong to a release, because their commands do. They are in C(units) of the release's folder, and a switch
    installs those of its release.
options:
  home:
    description: The application's folder.
    type: path
    required: true
  etc:
    description: Folder of the services' settings.
    type: path
    required: true
  release:
    description: The release.
    type: str
    required: true
  do:
    description:
      - V(prepare) writes P(files) into the release's folder and finds out whether the host must be switched.
      - V(install) makes systemd know these units and no others, and stops the processes of the others.
      - V(keep) saves the units of the release as those that work, and V(restore) takes these for it.
    type: str
    choices: [prepare, install, keep, restore]
    required: true
  files:
    description: The release's units and what they need, by name.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
author: [Flaskfleet]
"""

EXAMPLES = r"""
- name: Install the units of the release
  process_units:
    home: /opt/news
    etc: /etc/news
    release: 20261129-1a2b3c
    do: install
"""

RETURN = r"""
stale:
  description: Whether the host does not run the processes and timers of the release as they are now.
  returned: always
  type: bool
wanted:
  description: The processes and timers of the release on this host.
  returned: always
  type: list
processes:
  description: The processes among them.
  returned: always
  type: list
stopped:
  description: The units that were stopped, because the release does not want them.
  returned: always
  type: list
"""

RUN = Path("/run")
SYSTEM = Path("/etc/systemd/system")
TARGET = "app-processes.target"
PATTERNS = (TARGET, "app-*@.service", "app-timer-*.service", "app-timer-*.timer")
# The first line of each unit. Units that somebody else wrote stay.
MARK = "# Written by Flaskfleet"


def sha1(path: Path) -> str:
    """The SHA-1 of a file, empty if there is none."""
    return hashlib.sha1(path.read_bytes()).hexdigest() if path.is_file() else ""


def contents(folder: Path) -> dict[str, str]:
    """The files of a folder."""
    return {path.name: path.read_text() for path in sorted(folder.glob("*")) if path.is_file()}


def write(folder: Path, files: dict[str, str]) -> None:
    """Make a folder have these files and no others."""
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    for name in contents(folder).keys() - files.keys():
        (folder / name).unlink()
    for name, text in files.items():
        path, part = folder / name, folder / f".{name}.part"
        part.touch(mode=0o600)
        part.chmod(0o600 if name.endswith(".env") else 0o644)
        part.write_text(text)
        part.replace(path)


def installed() -> dict[str, str]:
    """The units of processes and timers that systemd knows."""
    found = {path.name: path.read_text() for pattern in PATTERNS for path in SYSTEM.glob(pattern)}
    return {name: text for name, text in found.items() if MARK in text}


def units_of(files: dict[str, str]) -> dict[str, str]:
    """The units among a release's files."""
    return {name: text for name, text in files.items() if re.search(r"\.(service|target|timer)$", name)}


def wanted(files: dict[str, str]) -> list[str]:
    """The units that the target of a release starts."""
    return re.findall(r"^Wants=(\S+)$", files.get(TARGET, ""), re.MULTILINE)


def running() -> list[str]:
    """The processes that run, or that systemd starts again and again."""
    return sorted(f"{mark.parent.name}.service" for mark in RUN.glob("app-*@*/fingerprint"))


def started_with(unit: str) -> dict[str, str]:
    """The checksums of the files that a process has read at its start, by path."""
    mark = RUN / unit.removesuffix(".service") / "fingerprint"
    text = mark.read_text() if mark.is_file() else ""
    return {path: value for value, path in (line.split(None, 1) for line in text.splitlines())}


class Units:
    """The units of one release on this host."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.home, self.etc = Path(module.params["home"]), Path(module.params["etc"])
        self.release = module.params["release"]
        self.folder = self.home / "releases" / self.release / "units"
        # A folder next to the releases survives a new attempt with other units for the same release.
        self.good = self.home / ".units" / self.release
        self.files: dict[str, str] = contents(self.folder)

    def expected(self, unit: str) -> dict[str, str]:
        """What a process of the release reads at its start, like `started_with`."""
        template = re.sub("@[^.]*", "@", unit)
        environment = f"{template.removeprefix('app-').removesuffix('@.service')}.env"
        current = self.home / "current"
        release = hashlib.sha1(f"APP_RELEASE={self.release}\n".encode()).hexdigest()
        own = {str(current / "units" / environment): self.files[environment]} if environment in self.files else {}
        texts = own | {str(SYSTEM / template): self.files.get(template, "")}
        return {
            str(self.etc / "env"): sha1(self.etc / "env"),
            str(current / "release.env"): release,
            **{path: hashlib.sha1(text.encode()).hexdigest() for path, text in texts.items()},
        }

    def stale(self) -> bool:
        """Whether the host does not run the processes and timers of the release as they are now."""
        units = wanted(self.files)
        processes = [unit for unit in units if unit.endswith(".service")]
        return (
            installed() != units_of(self.files)
            or running() != sorted(processes)
            or any(started_with(unit) != self.expected(unit) for unit in processes)
            or bool(units and self.inactive([TARGET, *units]))
        )

    def inactive(self, units: list[str]) -> bool:
        """Whether systemd does not run some of these units, and does not try to."""
        states = self.module.run_command(["systemctl", "is-active", *units])[1].split()
        return any(state not in ("active", "activating", "reloading", "deactivating") for state in states)

    def prepare(self, files: dict[str, str]) -> bool:
        """Write the files, and return whether they were others."""
        changed, self.files = files != self.files, files
        # In check mode, a new release is not installed.
        if changed and not self.module.check_mode and self.folder.parent.is_dir():
            write(self.folder, files)
        return changed

    def install(self) -> list[str]:
        """Make systemd know the units of the release and no others. Return the units that it stopped."""
        before, units = installed(), units_of(self.files)
        timers = [name for name in before if name.endswith(".timer")]
        target = [TARGET] if TARGET in before and TARGET not in units else []
        unwanted = [
            unit for unit in [*target, *running(), *timers] if unit not in [*wanted(self.files), TARGET, *units]
        ]
        unwanted += target
        if self.module.check_mode:
            return unwanted
        if unwanted:
            self.systemctl("stop", *unwanted)
        if target:
            self.systemctl("disable", TARGET)
        for name in before.keys() - units.keys():
            (SYSTEM / name).unlink()
        for name, text in units.items():
            if before.get(name) != text:
                (SYSTEM / name).write_text(text)
                (SYSTEM / name).chmod(0o644)
        if before != units:
            self.systemctl("daemon-reload")
        # Otherwise the host counts as degraded for ever.
        if failed := [unit for unit in self.failed(before) if unit not in [*wanted(self.files), *units]]:
            self.systemctl("reset-failed", *failed)
        if TARGET in units:
            self.systemctl("enable", "--quiet", TARGET)
        return unwanted

    def failed(self, files: dict[str, str]) -> list[str]:
        """The units that have failed, among those of these files."""
        command = ["systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "app-*"]
        listed = [line.split()[0] for line in self.module.run_command(command)[1].splitlines() if line]
        return [unit for unit in listed if re.sub("@[^.]*", "@", unit) in files]

    def systemctl(self, *words: str) -> None:
        """Run systemctl."""
        self.module.run_command(["systemctl", *words], check_rc=True)

    def copy(self, source: Path, target: Path) -> bool:
        """Make a folder the same as another one. Return whether it was not."""
        files = contents(source)
        changed = files != contents(target)
        if changed and not self.module.check_mode:
            write(target, files)
        return changed


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "path", "required": True},
            "etc": {"type": "path", "required": True},
            "release": {"type": "str", "required": True},
            "do": {"type": "str", "choices": ["prepare", "install", "keep", "restore"], "required": True},
            "files": {"type": "dict", "default": {}, "no_log": True},
        },
        supports_check_mode=True,
    )
    units = Units(module)
    stopped: list[str] = []
    if module.params["do"] == "prepare":
        changed = units.prepare(module.params["files"])
    elif module.params["do"] == "install":
        before = installed()
        stopped = units.install()
        changed = bool(stopped) or before != units_of(units.files)
    elif module.params["do"] == "keep":
        changed = units.copy(units.folder, units.good)
    else:
        # Before the first success, there is nothing to go back to.
        changed = units.copy(units.good, units.folder)
        units.files = contents(units.folder)
    found = wanted(units.files)
    processes = [unit for unit in found if unit.endswith(".service")]
    module.exit_json(changed=changed, stale=units.stale(), wanted=found, processes=processes, stopped=stopped)


if __name__ == "__main__":
    main()
