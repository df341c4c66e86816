#!/bin/sh
# Unpacks a MySQL server with its own C library into a folder, on a Debian that has none in its packages: from
# Debian sid, by package lists of its own.  Nothing is installed, and the system's lists stay as they are.
#
# usage: mysql_unpack.sh FOLDER
#
# Afterwards FOLDER/run starts its programs:  FOLDER/run sbin/mysqld ...   FOLDER/run bin/mysql ...
# mysqld wants --basedir=FOLDER/usr --lc-messages-dir=FOLDER/usr/share/mysql --secure-file-priv=
#
# Exit code 77, with the reason in the last line: it cannot be had here.
set -u

skip() {
    echo "skipped: $*"
    exit 77
}

[ $# -eq 1 ] || {
    echo "usage: mysql_unpack.sh FOLDER" >&2
    exit 2
}
folder=$1
[ -x "$folder/run" ] && exit 0
command -v apt-get >/dev/null || skip "MySQL comes as a Debian package, and there is no apt-get"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keys" ] || skip "the keys of Debian's archive are missing: install debian-archive-keyring"
[ "$(dpkg --print-architecture)" = amd64 ] || skip "the loader's path is that of amd64"

apt=$folder/apt
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" || exit 1
folder=$(cd "$folder" && pwd)
apt=$folder/apt
: >"$apt/status"
echo "deb [signed-by=$keys] ${DEBIAN_MIRROR:-http://deb.debian.org/debian} sid main" >"$apt/sources.list"

private_apt() {
    apt-get -q -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o "Dir::State::lists=$apt/lists" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt/cache" \
        -o Debug::NoLocking=1 -o Acquire::Languages=none -o Acquire::http::Timeout=20 -o Acquire::Retries=1 \
        -o APT::Sandbox::User= "$@"
}

# An empty list of installed packages: everything that the server needs is fetched, its C library too.
private_apt update >"$apt/log" 2>&1 || skip "the package lists of Debian sid cannot be fetched ($apt/log)"
private_apt install -y --download-only --no-install-recommends mysql-server-core mysql-client-core >>"$apt/log" 2>&1 ||
    skip "the packages of MySQL cannot be fetched ($apt/log)"
for package in "$apt"/cache/archives/*.deb; do
    dpkg -x "$package" "$folder" || skip "$package cannot be unpacked"
done
rm -rf "$apt/lists" "$apt/cache"

cat >"$folder/run.new" <<'END'
#!/bin/sh
# usage: run PROGRAM ARGUMENT...: a program of this folder, with the loader and the libraries of this folder
root=$(cd "$(dirname "$0")" && pwd)
program=$1
shift
libraries=$root/usr/lib/x86_64-linux-gnu
exec "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries:$root/usr/lib/mysql/private" "$root/usr/$program" "$@"
END
chmod 755 "$folder/run.new"
"$folder/run.new" sbin/mysqld --no-defaults --version >>"$apt/log" 2>&1 || skip "mysqld does not start here ($apt/log)"
mv "$folder/run.new" "$folder/run"
"$folder/run" sbin/mysqld --no-defaults --version
