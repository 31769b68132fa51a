#!/bin/sh
# The inventory is Terraform's output: one topology, no second list of hosts. FLEET=name reads another fleet's; by default the
# fleet is named after this folder.
set -eu
inventory=$(cd "$(dirname "$0")" && pwd)
export FLEET="${FLEET:-$(basename "$inventory")}"
root=$inventory/../..
"$root/bin/terraform" -chdir="$root/terraform/sandbox" output -json inventory 2>/dev/null || {
    echo "FLEET=$FLEET has no hosts yet; run 'make up FLEET=$FLEET' or 'terraform -chdir=terraform/sandbox apply' first." >&2
    exit 1
}
