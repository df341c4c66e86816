#!/bin/sh
# Lists, for each source file, the part of its lines that ran, and the lines that did not.
#
# usage: coverage.sh FOLDER      of the objects, with the .gcda files of the test runs

folder=$1
# A file that no test is linked with has no counts, only the notes: all of its lines did not run.
find "$folder/proto" "$folder/server" -name '*.gcno' | sort | while read -r notes; do
    gcov --stdout --object-file "$notes" "$notes" 2>/dev/null
done | awk -F: '
    function line_number(text) {
        gsub(/ /, "", text)
        return text + 0
    }
    $3 == "Source" {
        source = $4
        next
    }
    source ~ /^\// || line_number($2) == 0 {
        next
    }
    {
        count = $1
        gsub(/ /, "", count)
        if (count == "-") {
            next
        }
        at = source SUBSEP line_number($2)
        if (!(at in ran)) {
            ran[at] = 0
            total[source]++
            lines[source] = lines[source] " " line_number($2)
        }
        if (count !~ /^[#=]/ && !ran[at]) {
            ran[at] = 1
            good[source]++
        }
    }
    function put_range() {
        if (first) {
            text = text " " (first == last ? first : first "-" last)
        }
        first = 0
    }
    END {
        for (source in total) {
            count = split(lines[source], number, " ")
            for (i = 2; i <= count; i++) {
                for (k = i; k > 1 && number[k - 1] + 0 > number[k] + 0; k--) {
                    swap = number[k]
                    number[k] = number[k - 1]
                    number[k - 1] = swap
                }
            }
            text = ""
            first = 0
            for (i = 1; i <= count; i++) {
                if (ran[source SUBSEP number[i]]) {
                    put_range()
                } else {
                    first = first ? first : number[i]
                    last = number[i]
                }
            }
            put_range()
            printf "%s: %.1f %% of %d lines ran%s\n", source, 100 * good[source] / total[source], total[source], text == "" ? "" : "; not" text
            all += total[source]
            all_good += good[source]
        }
        if (all) {
            printf "~ all: %.1f %% of %d lines ran\n", 100 * all_good / all, all
        }
    }' | sort | sed 's/^~ //'
