/* A cache beside a database: who misses asks the database, and stores what it said.
 *
 *     cc -o lookaside lookaside.c $(pkg-config --cflags --libs larder sqlite3) -pthread
 *     ./lookaside
 *
 * Product pages of a shop, each made by a query over its reviews.  Four threads serve the same
 * requests twice, without the cache and with it; then a price changes.
 *
 * Worth copying:
 *   - get_page(): of many threads that miss a page one is told that it has won, and makes it.  Its
 *     store carries the token that it got with the miss.
 *   - change_price(): the database first, then larder_delete(), which voids such tokens.  So a page
 *     made of the old row by a thread that was slow is not stored.
 *   - Whatever the cache answers, the page is served: at worst it is made by a query.
 */
#include <larder.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define PRODUCTS 2000u
#define THREADS  4u
#define REQUESTS 5000u /* of each thread */
#define PAGE_CAP 512u  /* bytes */
#define PAGE_S   300u  /* seconds to live */
#define MAKING_S 5u    /* seconds that who has won has to make a page; then another one wins */
#define KEY_CAP  32u

static char database[] = "/tmp/lookaside-XXXXXX";

/* One thread that serves. */
struct worker {
    struct larder *cache; /* NULL: none */
    sqlite3 *db;
    sqlite3_stmt *query;
    unsigned long seed;
    unsigned queries, hits, not_stored;
};

static void
die(const char *what, const char *why)
{
    fprintf(stderr, "lookaside: %s: %s\n", what, why);
    unlink(database);
    exit(1);
}

static void
run_sql(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        die(sql, sqlite3_errmsg(db));
    }
}

static void
open_worker(struct worker *worker)
{
    if (sqlite3_open(database, &worker->db) != SQLITE_OK ||
        sqlite3_prepare_v2(worker->db,
                           "SELECT name, price, avg(stars), count(*) FROM product, review "
                           "WHERE product.id = ?1 AND review.product = product.id",
                           -1, &worker->query, NULL) != SQLITE_OK) {
        die(database, sqlite3_errmsg(worker->db));
    }
}

static void
close_worker(struct worker *worker)
{
    sqlite3_finalize(worker->query);
    sqlite3_close(worker->db);
}

/** Makes the page by a query; its length. */
static size_t
query_page(struct worker *worker, unsigned product, char page[PAGE_CAP])
{
    worker->queries++;
    sqlite3_stmt *query = worker->query;
    sqlite3_bind_int(query, 1, (int)product);
    if (sqlite3_step(query) != SQLITE_ROW) {
        die("the query for a page", sqlite3_errmsg(worker->db));
    }
    int len = snprintf(page, PAGE_CAP, "%s: %d coins, %.1f stars of %d reviews",
                       (const char *)sqlite3_column_text(query, 0), sqlite3_column_int(query, 1),
                       sqlite3_column_double(query, 2), sqlite3_column_int(query, 3));
    sqlite3_reset(query);
    return len < (int)PAGE_CAP ? (size_t)len : PAGE_CAP - 1;
}

/** The page from the cache if it is there, else by a query; its length. */
static size_t
get_page(struct worker *worker, unsigned product, char page[PAGE_CAP])
{
    if (worker->cache == NULL) {
        return query_page(worker, product, page);
    }
    char key[KEY_CAP];
    struct larder_fetch fetch = { .version = LARDER_FETCH_VERSION };
    fetch.key = key;
    fetch.key_len = (size_t)snprintf(key, sizeof(key), "page:%u", product);
    fetch.buf = page;
    fetch.buf_cap = PAGE_CAP;
    fetch.vivify = 1;
    fetch.vivify_ttl_s = MAKING_S;
    if (larder_fetch(worker->cache, &fetch) == LARDER_OK && fetch.value_len > 0) {
        worker->hits++;
        return fetch.value_len;
    }
    size_t page_len = query_page(worker, product, page);
    if (fetch.won) {
        struct larder_store store = { .version = LARDER_STORE_VERSION };
        store.key = key;
        store.key_len = fetch.key_len;
        store.value = page;
        store.value_len = page_len;
        store.ttl_s = PAGE_S;
        store.cas = fetch.cas;
        /* It has changed meanwhile, or there is no room: the next one who asks makes it. */
        worker->not_stored += larder_store(worker->cache, &store) != LARDER_OK;
    }
    return page_len;
}

static void
change_price(struct worker *worker, unsigned product, unsigned price)
{
    char sql[80], key[KEY_CAP];
    snprintf(sql, sizeof(sql), "UPDATE product SET price = %u WHERE id = %u", price, product);
    run_sql(worker->db, sql);
    int key_len = snprintf(key, sizeof(key), "page:%u", product);
    enum larder_result result = larder_delete(worker->cache, key, (size_t)key_len);
    if (result != LARDER_OK && result != LARDER_MISS) {
        die(key, larder_result_text(result));
    }
}

static void *
serve(void *arg)
{
    struct worker *worker = arg;
    char page[PAGE_CAP];
    open_worker(worker);
    for (unsigned i = 0; i < REQUESTS; i++) {
        worker->seed = worker->seed * 1103515245ul + 12345ul;
        double part = (double)(worker->seed >> 8 & 0xffffffu) / (double)0x1000000u;
        /* Some are asked for much more often than others. */
        (void)get_page(worker, (unsigned)(PRODUCTS * part * part * part), page);
    }
    close_worker(worker);
    return NULL;
}

static void
serve_all(struct larder *cache, const char *name)
{
    struct worker workers[THREADS], sum = { .cache = cache };
    pthread_t threads[THREADS];
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){ .cache = cache, .seed = i };
        if (pthread_create(&threads[i], NULL, serve, &workers[i]) != 0) {
            die("pthread_create", "no thread");
        }
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        sum.queries += workers[i].queries;
        sum.hits += workers[i].hits;
        sum.not_stored += workers[i].not_stored;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double ms =
        (double)(end.tv_sec - start.tv_sec) * 1e3 + (double)(end.tv_nsec - start.tv_nsec) / 1e6;
    printf("%s cache: %u requests, %u queries, %.1f %% hits, %u pages not stored, %.0f ms\n", name,
           THREADS * REQUESTS, sum.queries, 100.0 * sum.hits / (THREADS * REQUESTS), sum.not_stored,
           ms);
}

int
main(void)
{
    int file = mkstemp(database);
    struct worker worker = { .cache = NULL };
    if (file < 0 || close(file) != 0 || sqlite3_open(database, &worker.db) != SQLITE_OK) {
        die(database, "cannot be made");
    }
    /* 2,000 products with 20 reviews each. */
    run_sql(worker.db, "PRAGMA synchronous = OFF; BEGIN;"
                       "CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT, price INTEGER);"
                       "CREATE TABLE review (product INTEGER, stars INTEGER);"
                       "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n LIMIT 2000)"
                       "  INSERT INTO product SELECT i, 'product ' || i, 100 + i % 50 FROM n;"
                       "INSERT INTO review SELECT product.id, 1 + (product.id + other.id) % 5"
                       "  FROM product, product AS other WHERE other.id < 20;"
                       "CREATE INDEX review_product ON review (product); COMMIT;");
    sqlite3_close(worker.db);
    serve_all(NULL, "without");

    enum larder_result result = larder_open(NULL, &worker.cache);
    if (result != LARDER_OK) {
        die("larder_open", larder_result_text(result));
    }
    serve_all(worker.cache, "with");

    char page[PAGE_CAP];
    open_worker(&worker);
    printf("before: %.*s\n", (int)get_page(&worker, 7, page), page);
    change_price(&worker, 7, 99);
    printf("after:  %.*s\n", (int)get_page(&worker, 7, page), page);
    close_worker(&worker);
    larder_close(&worker.cache);
    unlink(database);
    return 0;
}
