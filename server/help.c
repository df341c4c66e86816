/* What -h, -V and -i print. */
#include "config.h"

#include "options.h"

#include "admin/stats.h"

#include <stdio.h>

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown" /* a build without configure */
#endif

#ifdef HAVE_JEMALLOC
#define ALLOCATOR "jemalloc"
#else
#define ALLOCATOR "the C library's malloc"
#endif

/* One string per part: ISO C promises no more than 4095 characters. */
static const char help_serving[] =
    "-p, --port=<num>          TCP port to listen on (default: 11211; 0: off; -1: any free one)\n"
    "-U, --udp-port=<num>      0 only: this build has no UDP\n"
    "-s, --unix-socket=<file>  UNIX socket to listen on; without -p and -l no TCP port is opened\n"
    "-a, --unix-mask=<mask>    access mask for the UNIX socket, in octal (default: 700)\n"
    "-A, --enable-shutdown     enable the \"shutdown\" command\n"
    "-l, --listen=<addr>       address to listen on: <host>[:<port>], [<v6>]:<port>, * for any (default: any);\n"
    "                          several split by , or ; or in several -l; before an address may stand\n"
    "                          notls:, btls: (TLS), mtls: (TLS, clients with a certificate),\n"
    "                          proto[ascii|negotiating]: and tag[<1 to 8 characters>]:\n"
    "-b, --listen-backlog=<num> connections that may wait to be accepted (default: 1024)\n"
    "-c, --conn-limit=<num>    max simultaneous connections (default: 1024)\n"
    "-t, --threads=<num>       number of worker threads (default: 4)\n"
    "-R, --max-reqs-per-event  requests of one connection before others have their turn (default: 20)\n"
    "-B, --protocol=<name>     protocol: ascii, binary, or auto (default)\n"
    "-N, --napi-ids=<num>      taken for compatibility: connections are dealt out evenly\n";

static const char help_memory[] =
    "-m, --memory-limit=<num>  memory of items and index in megabytes, or with k, m, g (default: 64)\n"
    "-M, --disable-evictions   return an error when memory is used up, instead of evicting\n"
    "-I, --max-item-size=<num> max item size in bytes, or with k, m, g (default: 1m, min: 1k, max: 1024m)\n"
    "-f, --slab-growth-factor=<num> growth factor between chunk sizes (default: a finer table than 1.25)\n"
    "-n, --slab-min-size=<bytes> min space used for key and value\n"
    "-L, --enable-largepages   ask for large memory pages, and take all memory at the start\n"
    "-k, --lock-memory         lock down all paged memory\n"
    "-C, --disable-cas         no CAS ids: 8 bytes less per item\n";

static const char help_process[] =
    "-d, --daemon              run as a daemon\n"
    "-r, --enable-coredumps    maximize the core file limit\n"
    "-u, --user=<user>         assume the identity of <user> (only when started as root)\n"
    "-P, --pidfile=<file>      save the process id in <file>\n"
    "-v, --verbose             print errors and warnings; -vv: and connections; -vvv: as -vv\n"
    "-h, --help                print this help and exit\n"
    "-i, --license             print the license and exit\n"
    "-V, --version             print version and exit\n"
    "-F, --disable-flush-all   disable the flush_all command\n"
    "-X, --disable-dumping     disable stats cachedump, stats detail and dumps of keys\n"
    "-W, --disable-watch       disable watch commands\n"
    "-D <char>, --delimiter=<char>  delimiter between key prefix and key for \"stats detail\" (default: :);\n"
    "                          collection is on from the start when it is given\n";

static const char help_extended[] =
    "-o, --extended            comma separated list of extended options; no_ before a name turns it off\n"
    "   - maxconns_fast:       answer and close connections above the limit (default); no_: let them wait\n"
    "   - idle_timeout:        seconds after which an idle connection is closed (default: 0, never)\n"
    "   - read_buf_mem_limit:  limit in megabytes for read buffers (default: 0, none)\n"
    "   - watcher_logbuf_size, worker_logbuf_size: kilobytes of log buffers (default: 256, 64)\n"
    "   - track_sizes:         reports for \"stats sizes\"\n"
    "   - sock_cookie_id:      mark of the sockets, for firewalls\n"
    "   - (no_)slab_reassign, slab_automove=<0..2>, slab_automove_ratio: whether and when memory\n"
    "     moves to another size class (default: on, 1, 0.8)\n"
    "   - (no_)lru_crawler, lru_crawler_sleep, lru_crawler_tocrawl: whether and how fast expired\n"
    "     items are looked for (default: on, 100 us, 0: all)\n"
    "   - temporary_ttl, tail_repair_time, slab_chunk_max, slab_sizes, hashpower, no_hashexpand,\n"
    "     hash_algorithm=jenkins|murmur3|xxh3, slab_automove_window, slab_automove_freeratio,\n"
    "     lru_maintainer, hot_lru_pct, warm_lru_pct, hot_max_factor, warm_max_factor,\n"
    "     no_chunked_items, modern, no_modern: checked and shown as memcached does; memory is run\n"
    "     by larder's own rules\n";

#ifdef HAVE_TLS
static const char help_tls[] =
    "-Z, --enable-ssl          enable TLS/SSL; -o takes with it:\n"
    "   - ssl_chain_cert:      certificate chain file in PEM format\n"
    "   - ssl_key:             private key, if not part of the ssl_chain_cert\n"
    "   - ssl_keyformat:       private key format: PEM or DER (default: PEM)\n"
    "   - ssl_verify_mode:     client certificates: 0 none (default), 1 request, 2 require, 3 once\n"
    "   - ssl_ciphers:         names of ciphers, split by colons\n"
    "   - ssl_ca_cert:         PEM file of the CAs of client certificates\n"
    "   - ssl_wbuf_size:       kilobytes of the output buffer of each worker (default: 16)\n"
    "   - ssl_session_cache:   lets clients resume sessions\n"
    "   - ssl_kernel_tls:      encryption by the kernel, where it can\n"
    "   - ssl_min_version:     0 tlsv1.0, 1 tlsv1.1, 2 tlsv1.2 (default), 3 tlsv1.3\n";
#endif

void
options_print_help(FILE *out)
{
    options_print_version(out);
    fprintf(out, "larder %s (memory allocator: " ALLOCATOR ")\n", PACKAGE_VERSION);
    fputs(help_serving, out);
    fputs(help_memory, out);
    fputs(help_process, out);
    fputs(help_extended, out);
#ifdef HAVE_TLS
    fputs(help_tls, out);
#endif
    fputs(
        "Environment:\n"
        "MEMCACHED_PORT_FILENAME   file that gets the ports: lines \"TCP INET: <port>\", \"TCP INET6: <port>\"\n"
        "Signals:\n"
        "SIGTERM, SIGINT stop; SIGUSR1 stops when the workers have finished what they have received;\n"
        "SIGHUP loads certificates again\n",
        out);
}

void
options_print_version(FILE *out)
{
    fputs("memcached " SERVER_COMPAT_VERSION "\n", out);
}

static const char license[] =
    "Copyright (c) the larder authors\n"
    "\n"
    "Redistribution and use in source and binary forms, with or without\n"
    "modification, are permitted provided that the following conditions are met:\n"
    "\n"
    "1. Redistributions of source code must retain the above copyright notice, this\n"
    "   list of conditions and the following disclaimer.\n"
    "\n"
    "2. Redistributions in binary form must reproduce the above copyright notice,\n"
    "   this list of conditions and the following disclaimer in the documentation\n"
    "   and/or other materials provided with the distribution.\n"
    "\n"
    "3. Neither the name of the copyright holder nor the names of its\n"
    "   contributors may be used to endorse or promote products derived from\n"
    "   this software without specific prior written permission.\n"
    "\n"
    "THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS \"AS IS\"\n"
    "AND ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE\n"
    "IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE\n"
    "DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE\n"
    "FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL\n"
    "DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR\n"
    "SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER\n"
    "CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY,\n"
    "OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE\n"
    "OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.\n";

static const char license_libevent[] =
    "\n"
    "This product runs its event loops on libevent:\n"
    "\n"
    "Copyright (c) 2000-2007 Niels Provos <provos@citi.umich.edu>\n"
    "Copyright (c) 2007-2012 Niels Provos and Nick Mathewson\n"
    "under the 3-clause BSD license.\n";

void
options_print_license(FILE *out)
{
    options_print_version(out);
    fprintf(out, "larder %s\n\n", PACKAGE_VERSION);
    fputs(license, out);
    fputs(license_libevent, out);
}
