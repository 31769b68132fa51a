#!/bin/sh
# The inventory is Terraform's output, from whatever state `terraform -chdir=terraform/aws init` was told of.
set -eu
root=$(cd "$(dirname "$0")" && pwd)/../..
# FLEET names workspaces of the sandbox alone.
FLEET='' "$root/bin/terraform" -chdir="$root/terraform/aws" output -json inventory 2>/dev/null || {
    echo "terraform/aws has no hosts yet; run 'terraform -chdir=terraform/aws apply' first (docs/aws.md)." >&2
    exit 1
}
