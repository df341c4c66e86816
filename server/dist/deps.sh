#!/bin/sh
# Installs what is missing to build and test larder.  With apt it does so by itself; for other package tools it
# prints the command.
set -eu

cd "$(dirname "$0")/../.."

say() {
    echo "deps: $*"
}

# The clients for node come from npm, where it is there: in the versions that the lock file names, without running
# anything of theirs, into build/, so that the tests need no network.  What cannot be had skips its tests.
npm_seconds_max=60
clients=tests/e2e/clients
install_npm_packages() {
    modules=build/npm
    if [ -e $modules/node_modules/.package-lock.json ] && cmp -s $clients/package-lock.json $modules/package-lock.json; then
        return
    fi
    if ! command -v npm >/dev/null; then
        say "npm is not here; the tests of the clients for node will be skipped"
        return
    fi
    say "installing the clients for node into $modules"
    mkdir -p $modules
    cp $clients/package.json $clients/package-lock.json $modules
    if ! timeout -k 5 $npm_seconds_max npm ci --prefix $modules --ignore-scripts --no-audit --no-fund \
        --loglevel=error </dev/null; then
        rm -rf $modules
        say "npm could not get them; their tests will be skipped"
    fi
}

install_npm_packages

if ! command -v apt-get >/dev/null; then
    if command -v dnf >/dev/null; then
        say "run: dnf install gcc gcc-c++ make autoconf pkgconf-pkg-config libevent-devel jemalloc-devel" \
            "xxhash-devel openssl-devel cyrus-sasl-devel cyrus-sasl-plain cyrus-sasl-md5 libseccomp-devel zlib-devel" \
            "libzstd-devel mariadb-connector-c-devel libconfig-devel check-devel memcached mariadb-server libmemcached-awesome-tools python3 python3-pymemcache" \
            "python3-pylibmc python3-memcached php-cli php-pecl-memcached php-pecl-memcache ruby rubygem-dalli perl" \
            "perl-Cache-Memcached nodejs npm haproxy nginx clang compiler-rt clang-tools-extra ShellCheck" \
            "valgrind gnuplot git glib2-devel sqlite-devel"
    elif command -v apk >/dev/null; then
        say "run: apk add build-base autoconf pkgconf linux-headers libevent-dev jemalloc-dev xxhash-dev openssl-dev" \
            "cyrus-sasl-dev libseccomp-dev zlib-dev zstd-dev mariadb-connector-c-dev libconfig-dev check-dev memcached mariadb libmemcached python3 py3-pymemcache py3-pylibmc perl" \
            "nodejs npm haproxy nginx clang clang-extra-tools compiler-rt shellcheck valgrind gnuplot git glib-dev sqlite-dev"
    elif command -v brew >/dev/null; then
        say "run: brew install autoconf pkg-config libevent jemalloc xxhash openssl cyrus-sasl zstd mariadb-connector-c libconfig check memcached" \
            "mariadb libmemcached python php ruby perl node twemproxy haproxy nginx binutils llvm clang-format shellcheck gnuplot git glib sqlite"
    else
        say "no package tool known here.  Needed: a C compiler, GNU make, autoconf, pkg-config, libevent 2.1," \
            "jemalloc, xxHash 0.8, OpenSSL 1.1.1, Cyrus libsasl2, on Linux libseccomp, zlib, zstd, Check; for the MySQL hook libmariadb and libconfig; for tests" \
            "memcached, mariadbd, libmemcached's tools, python3, and clients for Python, PHP, Ruby, Perl and node, see" \
            "tests/e2e/test_clients_*.py;" \
            "clang with libFuzzer and clang-format for fuzz and format"
    fi
    exit 0
fi

is_installed() {
    case $(dpkg-query -W -f='${Status}' "$1" 2>/dev/null) in
    *'ok installed') return 0 ;;
    *) return 1 ;;
    esac
}

needed='gcc g++ make autoconf pkg-config libevent-dev libjemalloc-dev libxxhash-dev libssl-dev libsasl2-dev libseccomp-dev
    zlib1g-dev libzstd-dev libmariadb-dev libconfig-dev check python3'
# Tests that need these are skipped without them.
helpful='valgrind gnuplot-nox memcached libmemcached-tools mariadb-server mariadb-test-data clang clang-format shellcheck git
    python3-pymemcache python3-pylibmc python3-memcache python3-binary-memcached
    php-cli php-memcached php-memcache ruby ruby-dalli
    libcache-memcached-perl libcache-memcached-fast-perl libmemcached-libmemcached-perl
    nutcracker haproxy libnginx-mod-http-memc
    sasl2-bin libsasl2-modules libsasl2-modules-db openssl
    debhelper libglib2.0-dev libsqlite3-dev'
# Small beside a Java compiler, which is not installed for it.
if command -v javac >/dev/null; then
    helpful="$helpful libspymemcached-java"
fi

# libFuzzer and the sanitizers of clang come in a package that carries its version; the package lists know it.
runtime_package() {
    apt-cache show clang 2>/dev/null |
        sed -n 's/^Depends:.*clang-\([0-9]\{1,\}\).*/libclang-rt-\1-dev/p' | head -n 1
}

missing_packages() {
    for package in $needed $helpful $(runtime_package); do
        is_installed "$package" || echo "$package"
    done
}

if [ -z "$(missing_packages)" ] && [ -n "$(runtime_package)" ]; then
    say "everything is installed"
    exit 0
fi

as_root=
if [ "$(id -u)" -ne 0 ]; then
    as_root=sudo
    if ! command -v sudo >/dev/null; then
        say "run this as root: apt-get install $(missing_packages | tr '\n' ' ')"
        exit 1
    fi
fi

say "updating the package lists"
$as_root apt-get -q update || say "the package lists are as old as they were"

missing=
for package in $(missing_packages); do
    case " $needed " in
    *" $package "*) missing="$missing $package" ;;
    *)
        if apt-cache show "$package" >/dev/null 2>&1; then
            missing="$missing $package"
        else
            say "there is no package $package here; some tests will be skipped"
        fi
        ;;
    esac
done
if [ -z "$missing" ]; then
    say "everything is installed"
    exit 0
fi

# Debian starts a service as soon as its package is there.  A memcached on port 11211, a mariadbd or a web server is not
# what a test machine wants: for the time of this installation nothing is started, and the new ones are not at the next boot.
policy=/usr/sbin/policy-rc.d
policy_is_ours=
new_services=
remove_policy() {
    if [ -n "$policy_is_ours" ]; then
        $as_root rm -f "$policy"
    fi
}
trap remove_policy EXIT
trap 'exit 1' HUP INT TERM
for package in $missing; do
    case $package in
    memcached | nutcracker | haproxy) new_services="$new_services $package" ;;
    mariadb-server) new_services="$new_services mariadb" ;;
    libnginx-mod-http-memc) is_installed nginx-common || new_services="$new_services nginx" ;;
    esac
done
if [ -n "$new_services" ] && [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    policy_is_ours=yes
    $as_root chmod 755 "$policy"
fi

say "installing$missing"
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $missing </dev/null

if [ -n "$new_services" ] && command -v systemctl >/dev/null; then
    # shellcheck disable=SC2086
    $as_root systemctl --quiet disable $new_services 2>/dev/null || true
fi
