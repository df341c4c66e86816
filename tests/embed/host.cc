// A C++ host: the header as C++, exceptions and threads of the standard library around it.
#include "larder.h"

#include "embed/calls.h"

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace
{

/// What a C++ program would write around the library.
class Cache
{
  public:
    explicit Cache(std::uint64_t memory_limit)
    {
        larder_options options = LARDER_OPTIONS_INIT;
        options.memory_limit = memory_limit;
        larder_result result = larder_open(&options, &cache_);
        if (result != LARDER_OK) {
            throw std::runtime_error(larder_result_text(result));
        }
    }
    ~Cache()
    {
        larder_close(&cache_);
    }
    Cache(const Cache &) = delete;
    Cache &operator=(const Cache &) = delete;

    bool set(const std::string &key, const std::string &value, std::uint32_t ttl_s = 0)
    {
        return larder_set(cache_, key.data(), key.size(), value.data(), value.size(), ttl_s) ==
               LARDER_OK;
    }

    /// False on a miss.  Grows the string until the value fits: it may change between two calls.
    bool get(const std::string &key, std::string *value)
    {
        value->resize(16);
        for (;;) {
            std::size_t len = 0;
            larder_result result =
                larder_get(cache_, key.data(), key.size(), &(*value)[0], value->size(), &len);
            if (result == LARDER_TOO_LARGE) {
                value->resize(len);
                continue;
            }
            if (result != LARDER_OK) {
                return false;
            }
            value->resize(len);
            return true;
        }
    }

    larder *handle()
    {
        return cache_;
    }

  private:
    larder *cache_ = nullptr;
};

void
values_go_in_and_out()
{
    Cache cache(8u << 20);
    std::string value;
    CHECK(!cache.get("a", &value));
    CHECK(cache.set("a", "short"));
    CHECK(cache.get("a", &value) && value == "short");
    std::string longer(200000, 'x');
    longer[123456] = 'y';
    CHECK(cache.set("a", longer));
    CHECK(cache.get("a", &value) && value == longer);
    CHECK(larder_delete(cache.handle(), "a", 1) == LARDER_OK);
    CHECK(!cache.get("a", &value));
}

void
bad_options_become_exceptions()
{
    bool thrown = false;
    try {
        Cache cache(1);
    } catch (const std::runtime_error &error) {
        thrown = std::string(error.what()) == larder_result_text(LARDER_BAD_OPTION);
    }
    CHECK(thrown);
}

void
structs_and_functions_of_one_name_are_both_reachable()
{
    Cache cache(8u << 20);
    CHECK(cache.set("a", "1"));
    char buf[4];
    struct larder_get get = {};
    get.key = "a";
    get.key_len = 1;
    get.buf = buf;
    get.buf_cap = sizeof(buf);
    larder_get_batch(cache.handle(), &get, 1);
    CHECK(get.result == LARDER_OK && get.value_len == 1 && buf[0] == '1');
    struct larder_stats stats = {};
    stats.version = LARDER_STATS_VERSION;
    CHECK(larder_stats(cache.handle(), &stats) == LARDER_OK);
    CHECK(stats.items == 1 && stats.get_hits == 1);
}

/// Its destructor runs when a thread ends, and calls the library once more.
struct LastCall {
    Cache *cache = nullptr;
    ~LastCall()
    {
        if (cache != nullptr) {
            (void)cache->set("last", "call");
        }
    }
};
thread_local LastCall last_call;

void
threads_use_caches_of_their_own_and_a_shared_one()
{
    Cache shared(16u << 20);
    std::vector<std::unique_ptr<Cache>> own;
    std::vector<std::thread> threads;
    std::vector<int> wrong(6);
    for (unsigned i = 0; i < wrong.size(); i++) {
        own.emplace_back(new Cache(2u << 20));
    }
    for (unsigned i = 0; i < wrong.size(); i++) {
        threads.emplace_back([&, i] {
            last_call.cache = &shared;
            std::string value;
            for (unsigned n = 0; n < 3000; n++) {
                std::string key = "key-" + std::to_string(n % 100);
                std::string mine = key + "/" + std::to_string(i);
                bool good = own[i]->set(key, mine) && shared.set(key, key + "/shared") &&
                            own[i]->get(key, &value) && value == mine;
                good = good && shared.get(key, &value) && value == key + "/shared";
                wrong[i] += good ? 0 : 1;
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    for (int count : wrong) {
        CHECK(count == 0);
    }
    std::string value;
    CHECK(shared.get("last", &value) && value == "call");
}

} // namespace

int
main()
{
    RUN(values_go_in_and_out);
    RUN(bad_options_become_exceptions);
    RUN(structs_and_functions_of_one_name_are_both_reachable);
    RUN(threads_use_caches_of_their_own_and_a_shared_one);
    return tests_end();
}
