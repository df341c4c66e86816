#!/bin/sh
# Builds a stress test without the order that it is about, and expects it to fail: a stress test that cannot fail
# proves nothing.
#
# usage: must_fail.sh BUILD-DIRECTORY TEST DEFINE PATTERN (FLAG | SOURCE)...     from the top of the tree, configured
#        TEST is tests/stress/TEST.c; with DEFINE the sources leave the order out, and the test prints a line with PATTERN.
#        Where an x86 forgives what is missing, a FLAG asks for a sanitizer.
# environment: CC, STRESS_SECONDS (4)

set -eu
dir=$1
name=$2
define=$3
pattern=$4
shift 4
mkdir -p "$dir"
libs=$(pkg-config --libs libxxhash 2>/dev/null || true)
build() {
    # shellcheck disable=SC2086
    ${CC:-gcc} -std=gnu11 -O2 -pthread -D_GNU_SOURCE -DLARDER_DEBUG -I. -Iserver "$@" $libs -lm
}

case " $*" in
*' -fsanitize='*)
    echo 'int main(void) { return 0; }' >"$dir/works.c"
    if ! build -o "$dir/works" "$dir/works.c" "$1" 2>/dev/null || ! "$dir/works"; then
        echo "skipped: $1 does not work here"
        echo "0 passed, 0 failed, 1 skipped"
        exit 0
    fi
    ;;
esac

build -D"$define" -o "$dir/$name" "tests/stress/$name.c" "$@"
for seed in 1 2 3; do
    if STRESS_SEED=$seed STRESS_SECONDS=${STRESS_SECONDS:-4} "$dir/$name" >"$dir/$name.log" 2>&1; then
        continue
    fi
    if grep -q "$pattern" "$dir/$name.log"; then
        echo "$name fails with $define, as it must"
        echo "1 passed, 0 failed"
        exit 0
    fi
done
# A busy machine may run the threads one after the other: then other things fail, or nothing.
cat "$dir/$name.log"
echo "$name does not fail with $define as it must"
echo "0 passed, 1 failed"
exit 1
