#!/bin/sh
# Adds up the results that run_test.sh noted, and closes with the line `N passed, N failed[, N skipped]`.
# Fails when a test failed or its result is missing.  A failed result is removed: it runs again next time.
#
# usage: sum_results.sh [--broken] RESULT...
#
# --broken   the build failed: that is one failure, and results may be missing

passed=0
failed=0
skipped=0
broken=
if [ "${1-}" = --broken ]; then
    broken=yes
    failed=1
    shift
fi
for result in "$@"; do
    name=${result#*/results/}
    if [ ! -f "$result" ]; then
        echo "not run: $name"
        [ -n "$broken" ] || failed=$((failed + 1))
        continue
    fi
    read -r p f s <"$result"
    passed=$((passed + p))
    failed=$((failed + f))
    skipped=$((skipped + s))
    if [ "$f" -gt 0 ]; then
        echo "failed: $name (see $result.log)"
        rm -f "$result"
    fi
done
if [ -n "$broken" ]; then
    echo "failed: the build"
fi
if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ]
