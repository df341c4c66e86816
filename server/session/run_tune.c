/* slabs, lru, and those of lru_crawler that change settings: commands that tune a running server.
 * Out of the hot path.
 *
 * What the original does with a setting and we do not is kept and shown by `stats settings` all
 * the same; the manual page says which those are. */
#include "config.h"

#include "session/session_priv.h"

#include "admin/tune.h"

#include <math.h>
#include <stdlib.h>

#define BAD_FORMAT "CLIENT_ERROR bad command line format\r\n"

#define AUTOMOVE_MAX         2u
#define WINDOW_MIN           3u /* seconds */
#define WINDOW_MAX           1800u
#define HOT_AND_WARM_PCT_MAX 80u
#define CRAWLER_SLEEP_MAX    1000000u /* us */
#define REAL_LEN_MAX         40u      /* characters of a number with a point */

/** A number with or without sign, point and exponent, and nothing else. */
static bool
word_real(const struct span *word, double *out)
{
    char text[REAL_LEN_MAX + 1];
    if (word->len == 0 || word->len > REAL_LEN_MAX) {
        return false;
    }
    memcpy(text, word->at, word->len);
    text[word->len] = '\0';
    char *end;
    *out = strtod(text, &end);
    return end == text + word->len && isfinite(*out);
}

/** Digits, with a sign before them or not; what is larger becomes the largest. */
static bool
word_integer(const struct span *word, int64_t *out)
{
    bool negative = word->len > 0 && word->at[0] == '-';
    bool sign = negative || (word->len > 0 && word->at[0] == '+');
    struct span digits = { word->at + sign, word->len - sign };
    uint64_t value = 0;
    if (digits.len == 0) {
        return false;
    }
    for (size_t i = 0; i < digits.len; i++) {
        unsigned digit = (unsigned)digits.at[i] - '0';
        if (digit > 9) {
            return false;
        }
        value = value < INT64_MAX / 10 ? value * 10 + digit : INT64_MAX;
    }
    *out = negative ? -(int64_t)value : (int64_t)value;
    return true;
}

/* -- slabs ------------------------------------------------------------------------------------- */

static int
class_id_of(int64_t number)
{
    return number < INT8_MIN || number > INT8_MAX ? INT8_MIN : (int)number; /* no class's, too */
}

static const char *
slabs_reassign(struct session_worker *worker, const struct span *args)
{
    int64_t from;
    int64_t to;
    if (!worker->settings->slab_reassign) {
        return "CLIENT_ERROR slab reassignment disabled\r\n";
    }
    if (!word_integer(&args[0], &from) || !word_integer(&args[1], &to)) {
        return BAD_FORMAT;
    }
    if (from == to) {
        return "SAME src and dst class are identical\r\n";
    }
    switch (cache_move_page(worker->cache, class_id_of(from), class_id_of(to))) {
    case CACHE_MOVE_OK:
        return "OK\r\n";
    case CACHE_MOVE_BUSY:
        return "BUSY currently processing reassign request\r\n";
    case CACHE_MOVE_SAME: /* of two that are no classes */
    case CACHE_MOVE_BAD_CLASS:
        return "BADCLASS invalid src or dst class id\r\n";
    case CACHE_MOVE_NO_SPARE:
        return "NOSPARE source class has no spare pages\r\n";
    }
    return "ERROR\r\n"; /* not reached */
}

/** `count` words behind "automove", at least one; more than are needed do not matter. */
static const char *
slabs_automove(struct session_worker *worker, const struct span *args, unsigned count)
{
    struct settings *settings = worker->settings;
    bool ratio = span_equals(args[0], "ratio");
    uint64_t number;
    double real;
    if (ratio || span_equals(args[0], "freeratio")) {
        if (count < 2 || !word_real(&args[1], &real)) {
            return "ERROR\r\n";
        }
        if (ratio) {
            settings_set(settings, slab_automove_ratio, real);
        } else {
            settings_set(settings, slab_automove_freeratio, real);
        }
    } else if (span_equals(args[0], "window")) {
        if (count < 2) {
            return "ERROR\r\n";
        }
        if (!word_number(&args[1], UINT64_MAX, &number)) {
            return BAD_FORMAT;
        }
        if (number < WINDOW_MIN || number > WINDOW_MAX) {
            return "CLIENT_ERROR automove window too low or too high\r\n";
        }
        settings_set(settings, slab_automove_window, (unsigned)number);
    } else {
        if (!word_number(&args[0], UINT64_MAX, &number)) {
            return BAD_FORMAT;
        }
        if (number > AUTOMOVE_MAX) {
            return "ERROR\r\n";
        }
        settings_set(settings, slab_automove, (int)number);
    }
    tune_apply(settings, worker->cache);
    return "OK\r\n";
}

const char *
tune_slabs(struct session_worker *worker, const struct request *request)
{
    unsigned count = args_count(request);
    if (count == 3 && span_equals(request->args[0], "reassign")) {
        return slabs_reassign(worker, &request->args[1]);
    }
    if (count >= 2 && span_equals(request->args[0], "automove")) {
        return slabs_automove(worker, &request->args[1], count - 1);
    }
    return "ERROR\r\n";
}

/* -- lru --------------------------------------------------------------------------------------- */

/** <hot %> <warm %> <hot factor> <warm factor> */
static const char *
lru_tune(struct settings *settings, const struct span *args)
{
    uint64_t hot;
    uint64_t warm;
    double hot_factor;
    double warm_factor;
    if (!word_number(&args[0], UINT32_MAX, &hot) || !word_number(&args[1], UINT32_MAX, &warm) ||
        !word_real(&args[2], &hot_factor) || !word_real(&args[3], &warm_factor)) {
        return "ERROR\r\n";
    }
    if (hot + warm > HOT_AND_WARM_PCT_MAX) {
        return "ERROR hot and warm pcts must not exceed 80\r\n";
    }
    if (hot_factor <= 0 || warm_factor <= 0) {
        return "ERROR hot/warm age factors must be greater than 0\r\n";
    }
    settings_set(settings, hot_lru_pct, (unsigned)hot);
    settings_set(settings, warm_lru_pct, (unsigned)warm);
    settings_set(settings, hot_max_factor, hot_factor);
    settings_set(settings, warm_max_factor, warm_factor);
    return "OK\r\n";
}

static const char *
lru_mode(struct settings *settings, const struct span *mode)
{
    bool segmented = span_equals(*mode, "segmented");
    if (!settings->lru_maintainer || (!segmented && !span_equals(*mode, "flat"))) {
        return "ERROR\r\n";
    }
    settings_set(settings, lru_segmented, segmented);
    return "OK\r\n";
}

static const char *
lru_temp_ttl(struct settings *settings, const struct span *word)
{
    int64_t ttl;
    if (!settings->lru_maintainer || !word_integer(word, &ttl)) {
        return "ERROR\r\n";
    }
    settings_set(settings, temp_lru, ttl >= 0);
    if (ttl >= 0) {
        settings_set(settings, temporary_ttl, ttl < UINT32_MAX ? (unsigned)ttl : UINT32_MAX);
    }
    return "OK\r\n";
}

const char *
tune_lru(struct session_worker *worker, const struct request *request)
{
    const struct span *args = request->args;
    unsigned count = args_count(request);
    if (count >= 5 && span_equals(args[0], "tune")) {
        return lru_tune(worker->settings, &args[1]);
    }
    if (count >= 2 && span_equals(args[0], "mode")) {
        return lru_mode(worker->settings, &args[1]);
    }
    if (count >= 2 && span_equals(args[0], "temp_ttl")) {
        return lru_temp_ttl(worker->settings, &args[1]);
    }
    return "ERROR\r\n";
}

/* -- lru_crawler ------------------------------------------------------------------------------- */

static const char *
crawler_enable(struct settings *settings, bool enable)
{
    if (enable && settings_get(settings, lru_crawler)) {
        return "ERROR failed to start lru crawler thread\r\n"; /* it runs */
    }
    settings_set(settings, lru_crawler, enable);
    return "OK\r\n";
}

static const char *
crawler_set(struct settings *settings, bool sleep, const struct span *word)
{
    uint64_t number;
    if (!word_number(word, UINT64_MAX, &number)) {
        return BAD_FORMAT;
    }
    if (!sleep) {
        settings_set(settings, lru_crawler_tocrawl,
                     number < UINT32_MAX ? (unsigned)number : UINT32_MAX);
    } else if (number > CRAWLER_SLEEP_MAX) {
        return "CLIENT_ERROR sleep must be one second or less\r\n";
    } else {
        settings_set(settings, lru_crawler_sleep, (unsigned)number);
    }
    return "OK\r\n";
}

const char *
tune_crawler(struct session_worker *worker, const struct request *request)
{
    struct settings *settings = worker->settings;
    const struct span *args = request->args;
    unsigned count = args_count(request);
    const char *text = "ERROR\r\n";
    if (count == 1 && (span_equals(args[0], "enable") || span_equals(args[0], "disable"))) {
        text = crawler_enable(settings, span_equals(args[0], "enable"));
    } else if (count == 2 && (span_equals(args[0], "sleep") || span_equals(args[0], "tocrawl"))) {
        text = crawler_set(settings, span_equals(args[0], "sleep"), &args[1]);
    }
    tune_apply(settings, worker->cache);
    return text;
}
