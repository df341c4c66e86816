#!/bin/sh
# Installs below a folder of its own, and builds the README's example as a host of the library would: with
# pkg-config, against the shared and the static library.  Checks the units where systemd is there to do it.
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

# The examples, as somebody who has installed larder builds them.
examples=$(find "$root" -type d -path '*/doc/larder/examples')
for example in "$examples"/*.c; do
    name=$(basename "$example" .c)
    modules=larder
    if grep -q larder_serve "$example"; then
        modules=larder-serve
    fi
    if [ "$name" = lookaside ]; then
        pkg-config --exists sqlite3 || continue
        modules="$modules sqlite3"
    fi
    # shellcheck disable=SC2046,SC2086
    cc -Wall -Wextra -Werror -o "$root/$name" "$example" $(pkg-config --cflags --libs $modules) -pthread
done
# With the archives.
# shellcheck disable=SC2046
cc -o "$root/serve-static" "$examples/serve.c" $(pkg-config --cflags larder-serve) "${archive%.a}-serve.a" "$archive" \
    $(pkg-config --static --libs-only-other --libs-only-L --libs-only-l larder-serve |
        sed 's/-llarder-serve//; s/-llarder\>//')
"$root/serve-static" </dev/null 2>/dev/null | grep -q '^serving 127.0.0.1:'
export LD_LIBRARY_PATH="${archive%/*}"
"$root/serve" </dev/null 2>/dev/null | grep -q '^serving 127.0.0.1:'
"$root/warm_restart" "$root/answers" | grep -q '^saved: 200 items$'
"$root/warm_restart" "$root/answers" | grep -q '^warm: 200 items$'
if [ -x "$root/lookaside" ]; then
    "$root/lookaside" | grep -q '^after:  product 7: 99 coins'
fi
unset LD_LIBRARY_PATH

"$(find "$root" -name larder -type f -perm -u+x)" -V
for page in larder.1 larder.3 larder-hook.5 hook.conf.example; do
    find "$root" -name "$page" | grep -q .
done
if find "$root" -name memcached | grep -q .; then
    echo "memcached's name is taken without MEMCACHED_LINK=1"
    exit 1
fi

# The library's host gets no library that it does not need.
strange=$(readelf -d "${archive%/*}/liblarder.so.1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
    grep -vE '^(libc|libm|libpthread|librt)\.(so|musl)|^ld-' || true)
if [ -n "$strange" ]; then
    echo "liblarder.so needs $strange"
    exit 1
fi

# Where the paths in the units are those of the files; a larder.conf that is there stays.
prefix=$root/prefix
mkdir -p "$prefix/etc"
echo '-m 100' >"$prefix/etc/larder.conf"
make --silent install prefix="$prefix" MEMCACHED_LINK=1
grep -qx -e '-m 100' "$prefix/etc/larder.conf"
"$prefix/bin/memcached" -V
units=$prefix/lib/systemd/system
if grep -n '@[a-z_]*@' "$units"/larder*; then
    echo "^ is not filled in"
    exit 1
fi
if command -v systemd-analyze >/dev/null; then
    # An instance is what is started, so it is what is checked.
    cp "$units/larder@.service" "$units/larder@11212.service"
    for unit in larder.service larder@11212.service larder.socket; do
        said=$(cd "$units" && systemd-analyze verify --man=no "./$unit" 2>&1) || said="$said (failed)"
        if [ -n "$said" ]; then
            echo "$unit: $said"
            exit 1
        fi
    done
fi
