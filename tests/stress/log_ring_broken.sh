#!/bin/sh
# Builds log_ring with rings whose loads and stores are not ordered (LARDER_BREAK_RING_ORDER), and expects
# ThreadSanitizer to tell of a race: a stress test that cannot fail proves nothing.  By itself an x86 forgives what is
# missing here.
#
# usage: log_ring_broken.sh [BUILD-DIRECTORY]     from the top of the tree, configured
# environment: CC, STRESS_SECONDS (4)

set -eu
dir=${1:-build/broken}
mkdir -p "$dir"
build() {
    ${CC:-gcc} -std=gnu11 -O1 -g -pthread -D_GNU_SOURCE -DLARDER_DEBUG -fsanitize=thread "$@" -I. -Iserver \
        -o "$dir/log_ring" tests/stress/log_ring.c server/admin/watch*.c server/base/*.c -lm
}
if ! build >"$dir/log_ring.log" 2>&1 || ! STRESS_SECONDS=1 "$dir/log_ring" >"$dir/log_ring.log" 2>&1; then
    if grep -q 'WARNING: ThreadSanitizer\|not so' "$dir/log_ring.log"; then
        cat "$dir/log_ring.log"
        echo "log_ring fails as it is"
        echo "0 passed, 1 failed"
        exit 1
    fi
    echo "skipped: ThreadSanitizer does not work here"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi

build -DLARDER_BREAK_RING_ORDER
if TSAN_OPTIONS=halt_on_error=1 STRESS_SECONDS=${STRESS_SECONDS:-4} "$dir/log_ring" >"$dir/log_ring.log" 2>&1; then
    echo "log_ring passes although nothing orders the bytes of a ring"
    echo "0 passed, 1 failed"
    exit 1
fi
if grep -q 'ThreadSanitizer: data race' "$dir/log_ring.log" && grep -q 'ring_[gp][eu]t' "$dir/log_ring.log"; then
    echo "log_ring fails without the order of the rings, as it must"
    echo "1 passed, 0 failed"
    exit 0
fi
cat "$dir/log_ring.log"
echo "log_ring failed, but for another reason"
echo "0 passed, 1 failed"
exit 1
