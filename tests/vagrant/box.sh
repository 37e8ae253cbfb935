#!/bin/sh
# Builds a Vagrant box (libvirt provider) from Debian packages, for machines where boxes cannot be downloaded or KVM does
# not work: Debian 12 with its stock cloud kernel, and the packages of all roles, so that guests need no network.
#
#   box.sh DIRECTORY PUBLIC_KEY      writes DIRECTORY/bookworm.box; PUBLIC_KEY lets vagrant in. Needs root.
set -eu

# In a mount namespace of its own: one that somebody else makes meanwhile would copy the mount below, and keep the disk in
# use (with its journal unwritten) after it has been unmounted here.
[ -n "${BOX_NAMESPACE:-}" ] || BOX_NAMESPACE=1 exec unshare --mount sh "$0" "$@"

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
provision=$here/../../vagrant/provision.sh
directory=$1
public_key=$2
build=$directory/build
offset=$((2048 * 512))

rm -rf "$build"
mkdir -p "$build/root"
loop=
clean() {
    umount -R "$build/root" 2>/dev/null || true
    [ -z "$loop" ] || losetup -d "$loop" || true
    rm -rf "$build"
}
trap clean EXIT

base=systemd-sysv,udev,dbus,kmod,ifupdown,isc-dhcp-client,iproute2,iputils-ping,netbase,openssh-server,sudo,rsync
base=$base,ca-certificates,procps,e2fsprogs,initramfs-tools,linux-image-cloud-amd64,grub-pc-bin,grub2-common,less,lz4
roles=$(sh "$provision" list realserver director client master | paste -sd,)

# A disk with one partition. Not every kernel reads partition tables of loop devices: the offset does without.
truncate -s 4G "$build/disk.raw"
echo '2048,,L,*' | sfdisk -q "$build/disk.raw"
loop=$(losetup -f --show -o "$offset" "$build/disk.raw")
mkfs.ext4 -q -F -L root "$loop"
mount "$loop" "$build/root"
root=$build/root

# The initrd holds just the drivers of the emulated machine: it boots in half the time.
mmdebstrap --mode=root --format=tar --variant=minbase --aptopt='APT::Install-Recommends "false"' \
    --aptopt='Acquire::Languages "none"' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --include="$base,$roles" \
    --essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d"
        printf "MODULES=list\nCOMPRESS=lz4\n" >"$1/etc/initramfs-tools/conf.d/lab"
        printf "virtio_pci\nvirtio_blk\nvirtio_net\next4\n" >"$1/etc/initramfs-tools/modules"' \
    bookworm - | tar --numeric-owner --xattrs --xattrs-include='*' -C "$root" -xf -

uuid=$(blkid -s UUID -o value "$loop")
echo "UUID=$uuid / ext4 errors=remount-ro,noatime 0 1" >"$root/etc/fstab"
echo bookworm >"$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 bookworm\n::1 localhost ip6-localhost\n' >"$root/etc/hosts"
cat >"$root/etc/network/interfaces" <<'INTERFACES'
auto lo
iface lo inet loopback

allow-hotplug eth0
iface eth0 inet dhcp

source-directory /etc/network/interfaces.d
INTERFACES
rm -f "$root/etc/resolv.conf"
: >"$root/etc/machine-id"
printf 'UseDNS no\nGSSAPIAuthentication no\n' >"$root/etc/ssh/sshd_config.d/vagrant.conf"
mount --bind /dev "$root/dev"
mount -t proc proc "$root/proc"
chroot "$root" useradd -m -s /bin/bash vagrant
install -D -m 440 /dev/stdin "$root/etc/sudoers.d/vagrant" <<'SUDO'
vagrant ALL=(ALL) NOPASSWD: ALL
SUDO
install -d -m 700 "$root/home/vagrant/.ssh"
install -m 600 "$public_key" "$root/home/vagrant/.ssh/authorized_keys"
chroot "$root" chown -R vagrant: /home/vagrant
# A role enables its own again; the rest only costs time in emulation.
chroot "$root" systemctl -q disable nginx.service keepalived.service ipvsadm.service apt-daily.timer \
    apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer dpkg-db-backup.timer
chroot "$root" systemctl -q mask getty-static.service e2scrub_reap.service systemd-pstore.service

# GRUB by hand: boot.img in the first sector, core.img from the second on; grub-install wants a disk that it can probe.
version=$(cd "$root/boot" && ls vmlinuz-* | sed 's/^vmlinuz-//')
mkdir -p "$root/boot/grub"
cat >"$root/boot/grub/grub.cfg" <<GRUB
serial --unit=0 --speed=115200
terminal_output serial
set timeout=0
menuentry debian {
  linux /boot/vmlinuz-$version root=UUID=$uuid ro net.ifnames=0 biosdevname=0 console=ttyS0,115200n8 mitigations=off
  initrd /boot/initrd.img-$version
}
GRUB
chroot "$root" grub-mkimage -O i386-pc -p '(hd0,msdos1)/boot/grub' -o /core.img \
    biosdisk part_msdos ext2 normal linux serial terminal echo configfile search search_fs_uuid
mv "$root/core.img" "$build/"
cp "$root/usr/lib/grub/i386-pc/boot.img" "$build/"
umount -R "$root"
e2fsck -fn "$loop"
losetup -d "$loop"
loop=
dd if="$build/boot.img" of="$build/disk.raw" bs=440 count=1 conv=notrunc status=none
dd if="$build/core.img" of="$build/disk.raw" bs=512 seek=1 conv=notrunc status=none

qemu-img convert -c -O qcow2 "$build/disk.raw" "$build/box.img"
echo '{"provider":"libvirt","format":"qcow2","virtual_size":4}' >"$build/metadata.json"
echo 'Vagrant.configure("2") { |config| }' >"$build/Vagrantfile"
tar -C "$build" -czf "$directory/bookworm.box.partial" metadata.json Vagrantfile box.img
mv "$directory/bookworm.box.partial" "$directory/bookworm.box"
