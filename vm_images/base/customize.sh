#!/bin/sh
# Run by mmdebstrap as root when all packages are installed; $1 is the root folder of the image.
set -eu
root=$1

chroot "$root" useradd --uid 1000 --create-home --shell /bin/bash agent
install -d -o 1000 -g 1000 -m 0755 "$root/workspace"
install -d -m 0755 "$root/opt/packs"
install -d -m 0700 "$root/root/.ssh"

# The host's package sources and proxies are nobody's business in a machine without a network.
rm -f "$root"/etc/apt/apt.conf.d/99mmdebstrap "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/*
: > "$root/etc/resolv.conf"
: > "$root/etc/machine-id"
printf '127.0.0.1 localhost\n' > "$root/etc/hosts"
rm -rf "$root"/etc/ssh/ssh_host_* "$root"/etc/dropbear/*_key "$root"/var/cache/debconf/*-old
