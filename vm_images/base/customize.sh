#!/bin/sh
# Run by mmdebstrap as root when all packages are installed; $1 is the root folder of the image.
set -eu
root=$1

chroot "$root" useradd --uid 1000 --create-home --shell /bin/bash agent
install -d -o 1000 -g 1000 -m 0755 "$root/workspace"
install -d -m 0755 "$root/opt/packs" "$root/usr/lib/skerry"

# The host's account: root whose shell runs jobs.
chroot "$root" gcc -O2 -Wall -static -o /usr/lib/skerry/job /tmp/job.c
rm "$root/tmp/job.c"
echo 'host:x:0:0:Skerry on the host:/root:/usr/lib/skerry/job' >> "$root/etc/passwd"
echo 'host:*:19000:0:99999:7:::' >> "$root/etc/shadow"
echo /usr/lib/skerry/job >> "$root/etc/shells"

# The host's package sources and proxies are nobody's business in a machine without a network.
rm -f "$root"/etc/apt/apt.conf.d/99mmdebstrap "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/*
: > "$root/etc/resolv.conf"
: > "$root/etc/machine-id"
printf '127.0.0.1 localhost\n' > "$root/etc/hosts"
rm -rf "$root"/etc/ssh/ssh_host_* "$root"/var/cache/debconf/*-old
