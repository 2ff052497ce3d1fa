#!/bin/sh
# Installs the example configuration, unless there is a configuration already.
#
# usage (by meson): install-configuration.sh FILE TARGET
set -eu

target=${DESTDIR:-}$2
if [ ! -e "$target" ]; then
    mkdir -p "$(dirname "$target")"
    install -m 640 "$1" "$target"
fi
