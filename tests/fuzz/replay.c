/* Runs a fuzz target over stored inputs, without libFuzzer: `replay_X corpus/X/FILE...`.  The empty
 * input is always one of them.  Each lies before an unreadable page.  A crash ends the program; the
 * last name printed is the input's. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/guard.h"

#define INPUT_LEN_MAX (1u << 20) /* bytes; libFuzzer's own bound is lower */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool
replay_file(const char *path)
{
    static uint8_t bytes[INPUT_LEN_MAX];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return false;
    }
    size_t len = fread(bytes, 1, sizeof(bytes), file);
    bool whole = ferror(file) == 0 && (len < sizeof(bytes) || fgetc(file) == EOF);
    fclose(file);
    if (!whole) {
        fprintf(stderr, "%s: cannot be read, or longer than %u bytes\n", path, INPUT_LEN_MAX);
        return false;
    }
    puts(path);
    fflush(stdout);
    (void)LLVMFuzzerTestOneInput(guard_copy(bytes, len), len);
    guard_free_all();
    return true;
}

int
main(int argc, char **argv)
{
    unsigned passed = 0;
    unsigned failed = 0;

    puts("(empty)");
    fflush(stdout);
    (void)LLVMFuzzerTestOneInput(guard_copy(NULL, 0), 0);
    guard_free_all();
    passed++;

    for (int i = 1; i < argc; i++) {
        if (replay_file(argv[i])) {
            passed++;
        } else {
            failed++;
        }
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
