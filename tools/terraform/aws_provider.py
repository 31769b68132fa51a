"""Configures where Terraform finds the AWS provider: in a local mirror of the registry, or in the registry."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from tools.fleet.context import ROOT

MIRROR_FOLDERS = [
    Path(place) for place in ("/opt", "/usr/lib", "/usr/local/lib", "/usr/local/share", "/usr/share", "/var/lib")
]
PROVIDER = "registry.terraform.io/hashicorp/aws"
CACHE = ROOT / ".cache" / "terraform"
CONFIGURATION = """\
provider_installation {{
  filesystem_mirror {{
    path    = "{mirror}"
    include = ["{provider}"]
  }}
  direct {{
    exclude = ["{provider}"]
  }}
}}
"""
# Errors of `terraform init` if neither this machine nor a registry has the provider.
UNAVAILABLE = (
    "Failed to query available provider packages",
    "Failed to install provider",
    "Could not retrieve the list of available versions",
)


def find_mirror(places: Iterable[Path] = MIRROR_FOLDERS) -> Path | None:
    """Return the mirror with the provider, in one of `places` or a direct subfolder, or None."""
    patterns = (PROVIDER, f"*/{PROVIDER}")
    found = (path for place in places for pattern in patterns for path in sorted(place.glob(pattern)))
    return next((path.parents[2] for path in found), None)


def configuration(mirror: Path) -> str:
    """Return a CLI configuration that takes the provider from `mirror` and all others from registries."""
    return CONFIGURATION.format(mirror=mirror, provider=PROVIDER)


def environment(given: Mapping[str, str] = os.environ, places: Iterable[Path] = MIRROR_FOLDERS) -> dict[str, str]:
    """Return `given` plus the variables with which Terraform finds the provider. Downloads are cached."""
    plugins = CACHE / "plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    environment = {"TF_PLUGIN_CACHE_DIR": str(plugins), **given}
    # A user's own configuration has precedence, if its file exists.
    if not Path(environment.get("TF_CLI_CONFIG_FILE") or Path.home() / ".terraformrc").exists() and (
        found := find_mirror(places)
    ):
        rc = CACHE / "terraformrc"
        rc.write_text(configuration(found))
        environment["TF_CLI_CONFIG_FILE"] = str(rc)
    return environment


def missing(error: str) -> str:
    """Return the reason if `terraform init` failed because the provider is unavailable, otherwise an empty text."""
    error = " ".join(error.split())
    return (
        f"the AWS provider is neither on this machine nor available for download: {error}"
        if any(reason in error for reason in UNAVAILABLE)
        else ""
    )
