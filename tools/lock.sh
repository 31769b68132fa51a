#!/bin/sh
# Compiles pyproject.toml to requirements/*.txt with exact versions and hashes, and without registry URLs.
# UPGRADE=1 takes newer versions.
set -eu
cd "$(dirname "$0")/.."
compile() {
    output=requirements/$1.txt
    shift
    [ -z "${UPGRADE:-}" ] || set -- --upgrade "$@"
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --output-file "$output" "$@"
}
compile app pyproject.toml
compile dev --group control --group test --group dev --constraint requirements/app.txt pyproject.toml
compile control --group control --constraint requirements/dev.txt
echo uv | compile bootstrap --constraint requirements/control.txt -
