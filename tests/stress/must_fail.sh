#!/bin/sh
# Builds a stress test without the order that it is about, and expects it to fail: a stress test that cannot fail
# proves nothing.
#
# usage: must_fail.sh TEST DEFINE MESSAGE [BUILD-DIRECTORY]     from the top of the tree, configured
#        TEST is tests/stress/TEST.c; with DEFINE the engine leaves the order out, and the test prints MESSAGE
# environment: CC, STRESS_SECONDS (4)

set -eu
name=$1
define=$2
message=$3
dir=${4:-build/broken}
mkdir -p "$dir"
libs=$(pkg-config --libs libxxhash 2>/dev/null || true)
# shellcheck disable=SC2086
${CC:-gcc} -std=gnu11 -O2 -pthread -D_GNU_SOURCE -DLARDER_DEBUG -D"$define" -I. -Iserver \
    -o "$dir/$name" "tests/stress/$name.c" server/engine/*.c server/base/*.c $libs -lm

for seed in 1 2 3; do
    if STRESS_SEED=$seed STRESS_SECONDS=${STRESS_SECONDS:-4} "$dir/$name" >"$dir/$name.log" 2>&1; then
        continue
    fi
    if grep -q "^not so: $message" "$dir/$name.log"; then
        echo "$name fails with $define, as it must"
        echo "1 passed, 0 failed"
        exit 0
    fi
    cat "$dir/$name.log"
    echo "$name failed, but for another reason"
    echo "0 passed, 1 failed"
    exit 1
done
echo "$name passes even with $define"
echo "0 passed, 1 failed"
exit 1
