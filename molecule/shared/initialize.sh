#!/bin/sh
# Writes the inventory of a scenario for an ordinary application, as a new user does: initialize.sh flat
# What a user adds by hand is in the scenario's vars/main.yml.
set -eu
cd "$(dirname "$0")/../.."
inventory=molecule-$1
bin/fleet init "tests/applications/$1" --inventory "$inventory" --hosts one --force
[ ! -e "molecule/$1/vars/main.yml" ] ||
    ln -sfn "../../../../molecule/$1/vars/main.yml" "inventories/$inventory/group_vars/all/scenario.yml"
