#!/bin/sh
# What makes a plain Debian 12 host a host of the lab: the one provisioning of the Vagrant VMs and of the micro-VMs.
#
#   provision.sh list ROLE...                 print the Debian packages of the roles, one a line
#   provision.sh packages ROLE...             install them; a real server gets a page that names the host
#   provision.sh product WHEELHOUSE EXTRA...  install lbmaster[EXTRA,...] into /opt/lbmaster, with its systemd units
#   provision.sh host ROLE...                 kernel modules and units of the roles
#
# ROLE: realserver, director, client, master.  EXTRA: minion, master.
# WHEELHOUSE: a directory of wheels (nothing is fetched then); an empty or missing one means PyPI.
# Runs as root, inside a running host or in a chroot while an image is built. Safe to run again.
# No state of the product is made here: keys, joining and configuration are the operator's (or the story's) first steps.
set -eu

PRODUCT=/opt/lbmaster

die() {
    echo "provision.sh: $*" >&2
    exit 2
}

packages_of() {
    case $1 in
    realserver) echo nginx nftables kmod python3 python3-venv ;;
    director) echo keepalived ipvsadm nftables kmod python3 python3-venv ;;
    client) echo curl iputils-ping python3 ;;
    master) echo python3 python3-venv ;;
    *) die "unknown role '$1'; the roles are realserver, director, client, master" ;;
    esac
}

list() {
    for role in "$@"; do
        packages_of "$role" | tr ' ' '\n'
    done | sort -u
}

installed() {
    dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}

packages() {
    missing=
    for package in $(list "$@"); do
        installed "$package" || missing="$missing $package"
    done
    if [ -n "$missing" ]; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get -qq update
        # shellcheck disable=SC2086  # a list of words
        apt-get -qq -y --no-install-recommends install $missing
    fi
    case " $* " in *" realserver "*) nginx_page ;; esac
}

nginx_page() {
    rm -f /etc/nginx/sites-enabled/default
    cat >/etc/nginx/conf.d/lab.conf <<'NGINX'
# Answers every request with the name of the host, so that a client sees who served it.
server {
    listen 80 default_server;
    access_log /var/log/nginx/access.log;
    default_type text/plain;
    location / {
        return 200 "$hostname\n";
    }
}
NGINX
    if [ -d /run/systemd/system ]; then
        systemctl restart nginx.service
    fi
}

product() {
    wheelhouse=$1
    shift
    [ $# -gt 0 ] || die "product needs at least one EXTRA (minion, master)"
    extras=
    for extra in "$@"; do
        case $extra in minion | master) extras="$extras${extras:+,}$extra" ;; *) die "unknown extra '$extra'" ;; esac
    done
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "python3 is older than 3.11: use Debian 12 or later"
    rm -rf "$PRODUCT"
    python3 -m venv "$PRODUCT"
    if ls "$wheelhouse"/lbmaster-*.whl >/dev/null 2>&1; then
        "$PRODUCT/bin/pip" -q --disable-pip-version-check install --no-index --find-links "$wheelhouse" "lbmaster[$extras]"
    else
        "$PRODUCT/bin/pip" -q --disable-pip-version-check install "lbmaster[$extras]"
    fi
    for extra in "$@"; do
        case $extra in minion) command=lbminion ;; master) command=lbmaster ;; esac
        [ -x "$PRODUCT/bin/$command" ] || die "the lbmaster wheel has no console script $command"
        ln -sf "$PRODUCT/bin/$command" "/usr/local/bin/$command"
        install_unit "$command.service"
        [ "$extra" != master ] || master_user
    done
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
    fi
}

install_unit() {
    unit=$PRODUCT/share/lbmaster/systemd/$1
    [ -f "$unit" ] || die "the lbmaster wheel has no systemd unit $1 (share/lbmaster/systemd)"
    install -m 644 "$unit" "/etc/systemd/system/$1"
}

master_user() {
    getent passwd lbmaster >/dev/null ||
        useradd --system --user-group --home-dir /var/lib/lbmaster --no-create-home --shell /usr/sbin/nologin lbmaster
    install -d -o lbmaster -g lbmaster -m 750 /var/lib/lbmaster
    install -d -o root -g lbmaster -m 750 /etc/lbmaster
}

host() {
    for role in "$@"; do
        case $role in
        realserver) enable nginx.service ;;
        director)
            # Debian's unit waits for a configuration (ConditionFileNotEmpty): it is enabled and idle until the first push.
            enable keepalived.service
            echo ip_vs >/etc/modules-load.d/lab.conf  # lbmaster.conf is the minion's own
            if [ -d /run/systemd/system ]; then
                modprobe ip_vs || die "this kernel has no ip_vs: a director needs a kernel with IPVS (module ip_vs)"
            fi
            ;;
        client | master) ;;
        *) die "unknown role '$role'; the roles are realserver, director, client, master" ;;
        esac
    done
}

enable() {
    if [ -d /run/systemd/system ]; then
        systemctl -q enable --now "$1"
    else
        systemctl -q enable "$1"
    fi
}

[ $# -ge 2 ] || die "usage: provision.sh list|packages|host ROLE... | product WHEELHOUSE EXTRA..."
phase=$1
shift
case $phase in
list | packages | product | host) "$phase" "$@" ;;
*) die "unknown phase '$phase'; the phases are list, packages, product, host" ;;
esac
