/* A program that finds its cache as it left it.
 *
 *     cc -o warm_restart warm_restart.c $(pkg-config --cflags --libs larder)
 *     ./warm_restart /var/tmp/answers.cache      # cold: makes every answer
 *     ./warm_restart /var/tmp/answers.cache      # warm: has them all
 *
 * An answer is how many prime numbers there are below a number: slow to make, and right for ever.
 *
 * Worth copying:
 *   - A file that is not there, or damaged, is no reason not to start: the cache is cold then.
 *   - What a damaged file brought before its damage is flushed; whoever trusts it may keep it.
 *   - larder_save() takes the place of the file when the new one is whole: a crash leaves the old.
 */
#include <larder.h>

#include <errno.h>
#include <stdio.h>

#define QUESTIONS 200u
#define STEP      50u /* between two questions */
#define KEY_CAP   32u

static unsigned
count_primes_below(unsigned bound)
{
    unsigned primes = 0;
    for (unsigned number = 2; number < bound; number++) {
        unsigned divisor = 2;
        while (divisor * divisor <= number && number % divisor != 0) {
            divisor++;
        }
        primes += divisor * divisor > number;
    }
    return primes;
}

/** The answer from the cache, else made and stored; whether it was there. */
static int
answer(struct larder *cache, unsigned bound, unsigned *primes)
{
    char key[KEY_CAP];
    int key_len = snprintf(key, sizeof(key), "primes:%u", bound);
    size_t value_len;
    if (larder_get(cache, key, (size_t)key_len, primes, sizeof(*primes), &value_len) == LARDER_OK &&
        value_len == sizeof(*primes)) {
        return 1;
    }
    *primes = count_primes_below(bound);
    enum larder_result result = larder_set(cache, key, (size_t)key_len, primes, sizeof(*primes), 0);
    if (result != LARDER_OK) { /* the answer is right all the same */
        fprintf(stderr, "warm_restart: %s: %s\n", key, larder_result_text(result));
    }
    return 0;
}

static void
load(struct larder *cache, const char *path)
{
    uint64_t items;
    char error[LARDER_ERROR_CAP];
    enum larder_result result = larder_load(cache, path, &items, error, sizeof(error));
    if (result == LARDER_OK) {
        printf("warm: %llu items\n", (unsigned long long)items);
    } else if (result == LARDER_SYSTEM && errno == ENOENT) {
        printf("cold: there is no file yet\n");
    } else {
        printf("cold: %s: %s\n", larder_result_text(result), error);
        larder_flush(cache);
    }
}

/** The exit status: without a saved cache the next start is cold, which somebody should know. */
static int
save(struct larder *cache, const char *path)
{
    uint64_t items;
    char error[LARDER_ERROR_CAP];
    enum larder_result result = larder_save(cache, path, &items, error, sizeof(error));
    if (result != LARDER_OK) {
        fprintf(stderr, "warm_restart: %s: %s\n", larder_result_text(result), error);
        return 1;
    }
    printf("saved: %llu items\n", (unsigned long long)items);
    return 0;
}

int
main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s FILE\n", argv[0]);
        return 2;
    }
    struct larder *cache;
    enum larder_result result = larder_open(NULL, &cache);
    if (result != LARDER_OK) {
        fprintf(stderr, "warm_restart: %s\n", larder_result_text(result));
        return 1;
    }
    load(cache, argv[1]);

    unsigned hits = 0, last = 0;
    for (unsigned i = 1; i <= QUESTIONS; i++) {
        hits += (unsigned)answer(cache, i * STEP, &last);
    }
    printf("%u primes below %u; %u of %u answers were there\n", last, QUESTIONS * STEP, hits,
           QUESTIONS);

    int status = save(cache, argv[1]);
    larder_close(&cache);
    return status;
}
