#!/bin/sh
# Makes the root file system of the image: the program with its capabilities, the shared libraries
# that it is linked with or loads at need, the authorities that the system trusts, a user, an example of a
# configuration. Works on any Debian or Ubuntu; takes root, for the capabilities. The folder for its
# state comes apart, as it has another owner.
#
# usage: deploy/container/make-root.sh PROGRAM FOLDER STATE
set -eu

program=$1
root=$2
state=$3
here=$(dirname "$0")

mkdir -p "$root/usr/bin" "$root/etc/tallyman" "$root/etc/ssl/certs" "$root/var/lib" "$state/tallyman"
cp "$program" "$root/usr/bin/tallyman"

# Each goes where the loader looks for it.
libraries=$("$here/../../tools/libraries" "$program")
echo "$libraries" | while read -r _ library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done

# What `tallyman top` has to know of the terminals that people use.
for terminal in linux screen screen-256color tmux tmux-256color vt100 vt220 xterm xterm-256color; do
    file=/lib/terminfo/$(printf %.1s "$terminal")/$terminal
    if [ -f "$file" ]; then
        mkdir -p "$root$(dirname "$file")"
        cp -L "$file" "$root$file"
    fi
done
if [ -f /etc/ssl/certs/ca-certificates.crt ]; then
    cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
fi
cp "$here/tallyman.yml" "$root/etc/tallyman/tallyman.yml"
echo 'tallyman:x:10191:10191:Tallyman:/var/lib/tallyman:/' >"$root/etc/passwd"
echo 'tallyman:x:10191:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"

find "$root" -type d -exec chmod 755 {} +
find "$root" -type f -exec chmod a-w,a+r {} +
chmod 555 "$root/usr/bin/tallyman"
chmod 750 "$state/tallyman"
setcap cap_dac_read_search,cap_sys_ptrace=p "$root/usr/bin/tallyman"
