/* What an operator asks of a rules file before a server runs with it: --hook-check, --hook-print.
 */
#ifndef LARDER_MYSQL_HOOK_TOOL_H
#define LARDER_MYSQL_HOOK_TOOL_H

#include "mysql/rules.h"

#include <stdio.h>

/**
 * Tries the rules against each host: its settings, the user's grants, the tables and their columns.
 * Prints a line for each finding: `ok`, `note`, or `problem`.
 *
 * Errors: false when there was a problem.
 */
bool hook_check(const struct rules *rules, FILE *out);

/**
 * Prints for each transaction what the rules would do to which keys: those of binary log files, or
 * (no files) those that happen on the first host that answers, until SIGTERM or SIGINT.
 *
 * Errors:  false, with a line on `out` that tells why.
 * Threads: the process has no other one that would take these signals.
 */
bool hook_print(const struct rules *rules, char *const *files, int file_count, FILE *out);

#endif
