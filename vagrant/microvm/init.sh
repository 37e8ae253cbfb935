#!/bin/sh
# First process of a guest: puts the guest's own disk over the shared read-only root, sets the network up, starts systemd.
# It lies in the image as /usr/sbin/lab-init; /etc/lab.env comes from the guest's own layer.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
. /etc/lab.env

mount -t proc proc /proc
[ -b /dev/ubda ] || mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /run
mkdir /run/disk /run/root
mount -t ext4 /dev/ubda /run/disk
mkdir -p /run/disk/upper /run/disk/work
modprobe overlay
mount -t overlay -o lowerdir=/,upperdir=/run/disk/upper,workdir=/run/disk/work root /run/root

ip link set lo up
ip link set eth0 up
ip addr add "$LAB_ADDRESS" dev eth0

mount --move /proc /run/root/proc
mount --move /dev /run/root/dev
cd /run/root || exit 1
mount --move . /
exec chroot . /lib/systemd/systemd
