# Shell functions that scripts/run and scripts/test share. Sourced from the top of the checkout.
# shellcheck shell=sh

# What each purpose needs, as Debian packages.
PACKAGES_BUILD="gcc libc6-dev make autoconf automake pkg-config libuv1-dev libssl-dev libsqlite3-dev
libpcre2-dev libjansson-dev"
PACKAGES_TEST="clang clang-format libclang-rt-dev llvm check librabbitmq-dev python3 python3-pika
rabbitmq-server sqlite3 valgrind"

say() {
    printf '%s\n' "$*" >&2
}

# as_root COMMAND...: through sudo when we are not root.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# missing_packages NAME...: prints those that are not installed.
missing_packages() {
    for package in "$@"; do
        status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=
        [ "$status" = installed ] || printf '%s ' "$package"
    done
}

# need_packages NAME...: installs those that are not installed. A service that a package brings
# (rabbitmq-server) is not started by that: it would take the port a broker wants.
need_packages() {
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    say "installing: $missing"
    policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then
        policy=
    else
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    result=0
    # shellcheck disable=SC2086
    { as_root apt-get update -qq &&
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends $missing; } >&2 || result=$?
    [ -z "$policy" ] || as_root rm -f "$policy"
    return "$result"
}

# need_configure: makes ./configure when it is missing or older than what it is made from.
need_configure() {
    if [ ! -x configure ] || [ ! -f Makefile.in ] || [ ! -f config.h.in ] ||
        [ configure.ac -nt configure ]; then
        scripts/autogen >&2
    fi
}

# configured DIR OPTIONS...: configures DIR for an out-of-tree build, once per set of options.
configured() {
    build_dir=$1
    shift
    mkdir -p "$build_dir"
    if [ ! -f "$build_dir/config.status" ] || [ "$(cat "$build_dir/.options" 2>/dev/null)" != "$*" ]; then
        (cd "$build_dir" && "$TOP/configure" -q "$@") >&2 || return
        printf '%s\n' "$*" >"$build_dir/.options"
    fi
}

processors() {
    getconf _NPROCESSORS_ONLN
}
