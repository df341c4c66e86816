#!/bin/sh
# Runs one test program and notes what it said.
#
# usage: run_test.sh NAME RESULT COMMAND [ARGUMENT...]
#
# RESULT gets one line, `passed failed skipped`; RESULT.log what the program printed.  Counted are the
# lines of Check (`100%: Checks: 5, Failures: 0, Errors: 0`) and lines `N passed, N failed[, N skipped]`;
# a program without either is one test, by its exit code: 0 passed, 77 skipped (its last line says why).
# Ends with 0 whatever the test did, so that the others run; sum_results.sh tells make.

name=$1
result=$2
shift 2
log=$result.log
mkdir -p "$(dirname "$result")"
limit_s=$((${TEST_TIMEOUT_S:-180} * ${TEST_TIMEOUT_SCALE:-1}))

start=$(date +%s)
timeout -k 10 "$limit_s" "$@" >"$log" 2>&1 </dev/null
code=$?
took_s=$(($(date +%s) - start))
if [ "$code" -eq 124 ] || [ "$code" -eq 137 ]; then
    echo "killed: not done after $limit_s s" >>"$log"
fi

counts=$(awk -v code="$code" '
    /^[0-9]+%: Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+$/ {
        gsub(/,/, "")
        passed += $3 - $5 - $7
        failed += $5 + $7
        counted = 1
    }
    /^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$/ {
        passed += $1
        failed += $3
        skipped += $5
        counted = 1
    }
    END {
        if (code == 77) {
            skipped++
        } else if (code != 0 && failed == 0) {
            failed = 1
        } else if (!counted) {
            passed = 1
        } else if (passed + failed + skipped == 0) {
            skipped = 1
        }
        print passed + 0, failed + 0, skipped + 0
    }' "$log")

passed=${counts%% *}
rest=${counts#* }
failed=${rest%% *}
skipped=${rest#* }

if [ "$failed" -gt 0 ]; then
    # One write, so that what two tests print at once stays apart.
    text=$(cat "$log")
    printf '%s\n' "FAIL $name (exit code $code, $took_s s)
$text
---- end of $name"
elif [ "$skipped" -gt 0 ]; then
    echo "ok   $name: $passed ($took_s s), skipped $skipped: $(tail -n 1 "$log")"
else
    echo "ok   $name: $passed ($took_s s)"
fi
echo "$passed $failed $skipped" >"$result.tmp" && mv "$result.tmp" "$result"
