"""The machine and the Python for which a release is built."""

from dataclasses import dataclass

from packaging.specifiers import SpecifierSet

# Debian 13's Python.
HOST_PYTHON = "3.13"
# Those that uv can fetch, the best one first. 3.14 is the last resort, because fewer packages support it.
PYTHONS = ("3.13", "3.12", "3.11", "3.10", "3.9", "3.8", "3.14")
# Those that get security fixes. An older one is taken only if the project cannot run on these.
MAINTAINED = ("3.13", "3.12", "3.11")
# The version of Debian 13's C library. Wheels for this or an older version run on the target.
GLIBC = (2, 41)
# The newest one that uv knows. It only decides which versions are chosen.
UV_GLIBC = "2_40"


def fits(python: str, specifier: SpecifierSet) -> bool:
    """Return whether a specifier allows a bug fix release of this Python."""
    return any(specifier.contains(f"{python}.{number}") for number in range(100))


@dataclass(frozen=True)
class Target:
    """The target's Python version and machine type."""

    python: str
    machine: str

    def environment(self) -> dict[str, str]:
        """Return the target's values for requirement markers, which differ from those of this control node."""
        full = f"{self.python}.0"
        python = {"implementation_version": full, "python_full_version": full, "python_version": self.python}
        system = {
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_system": "Linux",
            "sys_platform": "linux",
        }
        return {"implementation_name": "cpython", "platform_python_implementation": "CPython", **python, **system}

    def platforms(self) -> list[str]:
        """Return the wheel platforms that run on the target, newest first."""
        major, minor = GLIBC
        modern = [f"manylinux_{major}_{n}_{self.machine}" for n in range(minor, 4, -1)]
        return [*modern, f"manylinux2014_{self.machine}", f"linux_{self.machine}"]

    def for_pip(self) -> list[str]:
        """Return pip's options for downloads for the target."""
        platforms = [f"--platform={name}" for name in self.platforms()]
        return ["--implementation=cp", f"--python-version={self.python}", *platforms]

    def for_uv(self) -> list[str]:
        """Return uv's options for resolving for the target."""
        return [f"--python-version={self.python}", f"--python-platform={self.machine}-manylinux_{UV_GLIBC}"]

    def __str__(self) -> str:
        """Return the target as messages name it."""
        return f"Python {self.python} on {self.machine}"
