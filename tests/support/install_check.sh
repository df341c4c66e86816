#!/bin/sh
# Installs below a folder of its own, and builds the README's example as a host of the library would: with
# pkg-config, against the shared and the static library.
#
# usage: install_check.sh FOLDER      emptied first

set -eu
cd "$(dirname "$0")/../.."
mkdir -p "$1"
root=$(cd "$1" && pwd)/root
rm -rf "$root"
make --silent install DESTDIR="$root"

pc=$(find "$root" -name larder.pc)
export PKG_CONFIG_PATH="${pc%/*}" PKG_CONFIG_SYSROOT_DIR="$root"
archive=$(find "$root" -name liblarder.a)

awk '/^```c$/ { inside = 1; next } /^```/ { inside = 0 } inside' README.md >"$root/app.c"
# shellcheck disable=SC2046
{
    cc -o "$root/app-shared" "$root/app.c" $(pkg-config --cflags --libs larder)
    cc -o "$root/app-static" "$root/app.c" $(pkg-config --cflags larder) "$archive" \
        $(pkg-config --static --libs-only-other --libs-only-l larder | sed 's/-llarder//')
}
for app in shared static; do
    said=$(LD_LIBRARY_PATH="${archive%/*}" "$root/app-$app")
    if [ "$said" != hello ]; then
        echo "the README's example, linked $app, says '$said'"
        exit 1
    fi
done
"$(find "$root" -name larder -type f -perm -u+x)" -V
find "$root" -name larder.1 | grep -q .
find "$root" -path "*/man5/larder-hook.5" | grep -q .
find "$root" -path "*/doc/larder/hook.conf.example" | grep -q .
