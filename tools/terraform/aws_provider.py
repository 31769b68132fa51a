"""Where Terraform finds the AWS provider: any folder of add-ons may hold a mirror of the registry; elsewhere it comes from the registry."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from tools.fleet.context import ROOT

PLACES = [Path(place) for place in ("/opt", "/usr/lib", "/usr/local/lib", "/usr/local/share", "/usr/share", "/var/lib")]
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
# What `terraform init` says where neither this machine nor a registry has the provider.
NOT_TO_BE_HAD = (
    "Failed to query available provider packages",
    "Failed to install provider",
    "Could not retrieve the list of available versions",
)


def mirror(places: Iterable[Path] = PLACES) -> Path | None:
    """The folder of the mirror that has the provider, in one of `places` or a folder of theirs; None where there is none."""
    for place in places:
        for pattern in (PROVIDER, f"*/{PROVIDER}"):
            if found := next(iter(sorted(place.glob(pattern))), None):
                return found.parents[2]
    return None


def configuration(mirror: Path) -> str:
    """Terraform's CLI configuration that takes the provider from `mirror` and everything else from registries."""
    return CONFIGURATION.format(mirror=mirror, provider=PROVIDER)


def environment(given: Mapping[str, str] = os.environ, places: Iterable[Path] = PLACES) -> dict[str, str]:
    """`given` with what Terraform needs to find the provider. One that had to be downloaded stays for the next time."""
    plugins = CACHE / "plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    environment = {"TF_PLUGIN_CACHE_DIR": str(plugins), **given}
    # What a person has configured holds; a name of a file that is not there configures nothing.
    if not Path(environment.get("TF_CLI_CONFIG_FILE") or Path.home() / ".terraformrc").exists() and (
        found := mirror(places)
    ):
        rc = CACHE / "terraformrc"
        rc.write_text(configuration(found))
        environment["TF_CLI_CONFIG_FILE"] = str(rc)
    return environment


def missing(said: str) -> str:
    """Why the provider cannot be had, from what a failed `terraform init` said; empty when it failed for another reason."""
    said = " ".join(said.split())
    return (
        f"the AWS provider is neither on this machine nor to be had: {said}"
        if any(reason in said for reason in NOT_TO_BE_HAD)
        else ""
    )
