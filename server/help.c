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
    "-U, --udp-port=<num>      UDP port (default: 0, off; -1: any free one); without -p it is the TCP port, too\n"
    "-s, --unix-socket=<file>  UNIX socket to listen on; without -p and -l no TCP port is opened\n"
    "-a, --unix-mask=<mask>    access mask for the UNIX socket, in octal (default: 700)\n"
    "-A, --enable-shutdown     enable the commands \"shutdown\" and \"larder snapshot\"\n"
    "-l, --listen=<addr>       address to listen on: <host>[:<port>], [<v6>]:<port>, * for any (default: any);\n"
    "                          several split by , or ; or in several -l; before an address may stand\n"
    "                          notls:, btls: (TLS), mtls: (TLS, clients with a certificate),\n"
    "                          proto[ascii|binary|negotiating]: and tag[<1 to 8 characters>]:\n"
    "-b, --listen-backlog=<num> connections that may wait to be accepted (default: 1024)\n"
    "-c, --conn-limit=<num>    max simultaneous connections (default: 1024)\n"
    "-t, --threads=<num>       number of worker threads (default: 4)\n"
    "-R, --max-reqs-per-event=<num> requests of one connection before others have their turn (default: 20)\n"
    "-B, --protocol=<name>     protocol: ascii, binary, or auto (default)\n"
    "-N, --napi-ids=<num>      receive queues of the network card: connections of each go to a worker of its own\n";

static const char help_memory[] =
    "-m, --memory-limit=<num>  memory of items and index in megabytes, or with k, m, g (default: 64)\n"
    "-M, --disable-evictions   return an error when memory is used up, instead of evicting\n"
    "-I, --max-item-size=<num> max item size in bytes, or with k, m, g (default: 1m, min: 1k, max: 1024m)\n"
    "-f, --slab-growth-factor=<num> growth factor between chunk sizes (default: a finer table than 1.25)\n"
    "-n, --slab-min-size=<bytes> min space used for key and value\n"
    "-L, --enable-largepages   ask for large memory pages, and take all memory at the start\n"
    "-k, --lock-memory         lock down all paged memory\n"
    "-e, --memory-file=<file>  items lie in <file>, on a tmpfs at best, and outlive a stop by SIGUSR1\n"
    "-C, --disable-cas         no CAS ids: 8 bytes less per item\n";

static const char help_process[] =
    "    --config=<file>       options from a file such as /etc/memcached.conf, one per line; the command\n"
    "                          line wins over it\n"
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
    "-Y, --auth-file=<file>    clients log in before anything else; lines user:password; text protocols only\n"
#ifdef HAVE_SASL
    "-S, --enable-sasl         clients log in by SASL before anything else; binary protocol only\n"
#endif
    "-D, --delimiter=<char>    delimiter between key prefix and key for \"stats detail\" (default: :);\n"
    "                          collection is on from the start when it is given\n";

static const char help_extended[] =
    "-o, --extended=<list>     comma separated list of extended options; no_ before a switch turns it off\n"
    "   - maxconns_fast:      answer and close connections above the limit (default); no_: let them wait\n"
    "   - idle_timeout:       seconds after which an idle connection is closed (default: 0, never)\n"
    "   - read_buf_mem_limit: megabytes that connections may hold in half commands and unsent replies\n"
    "                         (default: 0, no limit)\n"
    "   - metrics:            address:port, or a port of 127.0.0.1, or the /path of a unix socket, where\n"
    "                         GET /metrics gives the statistics to Prometheus (default: off)\n"
    "   - sock_cookie_id:     mark of the sockets, for firewalls\n"
    "   - watcher_logbuf_size: kilobytes that wait for each watcher (default: 256)\n"
    "   - worker_logbuf_size: kilobytes of log lines of each worker (default: 64)\n"
    "   - track_sizes:        reports for \"stats sizes\"\n"
    "   - slab_sizes:         sizes of chunks in bytes, such as 100-200-400: in place of -f and -n\n"
    "   - slab_reassign:      memory moves between size classes (default); and no_slab_reassign\n"
    "   - slab_automove:      0: not by itself, 1 (default), 2: as soon as it gains anything; and no_slab_automove\n"
    "   - slab_automove_ratio: above 0, up to 1: how clear the gain of a move must be (default: 0.8)\n"
    "   - evict_for:          objects (default) or bytes: as many hits as can be, or as many bytes of hits\n"
    "   - lru_crawler:        expired items are looked for (default)\n"
    "   - no_lru_crawler:\n"
    "   - lru_crawler_sleep:  0 to 1000000 microseconds between two looks (default: 100)\n"
    "   - lru_crawler_tocrawl: chunks of a class looked at in a row (default: 0, all)\n"
    "   - mysql_hook:         file of rules, see larder-hook(5): follows a MySQL or MariaDB server and voids\n"
    "                         what its changes make wrong\n"
    "   - load:               file written by \"larder snapshot\": start with its items\n"
    "   - load_if_there:      the same, and it may be missing\n"
    "   - snapshot_dir:       folder for \"larder snapshot\", which then takes names in it and nothing else\n"
    "   - modern:             nothing more than the defaults\n"
    "   - no_modern:          the defaults of memcached 1.4, as far as they are settings\n";

static const char help_shown[] =
    "   Checked, and shown by \"stats settings\"; memory is run by larder's own rules:\n"
    "   - hashpower:          12 to 32 (default: 0)\n"
    "   - no_hashexpand:\n"
    "   - hash_algorithm:     jenkins, murmur3 (default) or xxh3\n"
    "   - tail_repair_time:   10 and more seconds (default: 0, off)\n"
    "   - slab_automove_window: 3 to 1800 (default: 10)\n"
    "   - slab_automove_freeratio: (default: 0.01)\n"
    "   - slab_chunk_max:     1 to 1024 kilobytes (default: 512)\n"
    "   - no_chunked_items:   as slab_chunk_max=1024\n"
    "   - lru_maintainer:     (default)\n"
    "   - no_lru_maintainer:\n"
    "   - hot_lru_pct:        1 to 79 (default: 20)\n"
    "   - warm_lru_pct:       1 to 79, with hot_lru_pct up to 80 (default: 40)\n"
    "   - hot_max_factor:     above 0 (default: 0.2)\n"
    "   - warm_max_factor:    above 0 (default: 2.0)\n"
    "   - temporary_ttl:      seconds (default: off)\n"
    "   - inline_ascii_resp:  taken, and nothing since memcached 1.6\n"
    "   - no_inline_ascii_resp: likewise\n"
    "   - resp_obj_mem_limit: taken with a warning: see read_buf_mem_limit\n";

#ifdef HAVE_SECCOMP
static const char help_seccomp[] =
    "   - drop_privileges:    filters system calls: no programs, no new sockets; a worker writes no file\n"
    "   - no_drop_privileges: (default)\n"
    "   - relaxed_privileges: with drop_privileges: no list of calls for the workers\n";
#else
static const char help_seccomp[] = "   - no_drop_privileges: taken: this build has no seccomp\n";
#endif

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
    fputs(help_seccomp, out);
    fputs(help_shown, out);
#ifdef HAVE_TLS
    fputs(help_tls, out);
#endif
    fputs(
        "In place of a server, and of all other options:\n"
    "    --hook-check <file>   tries the rules of -o mysql_hook=<file>: what will not work\n"
    "    --hook-print <file> [<log>...] prints what they do, of these binary logs or from now on\n"
    "Environment:\n"
        "MEMCACHED_PORT_FILENAME   file that gets the ports: lines \"TCP INET: <port>\", \"TCP INET6: <port>\",\n"
        "                          \"UDP INET: <port>\", \"UDP INET6: <port>\"\n"
#ifdef HAVE_SASL
        "SASL_CONF_PATH            folder of memcached.conf for -S (default: /etc/sasl, /etc/sasl2)\n"
        "MEMCACHED_SASL_PWDB       file of user:password lines for -S\n"
#endif
        "LISTEN_FDS, NOTIFY_SOCKET, WATCHDOG_USEC: of the service manager, see larder(1)\n"
        "Signals:\n"
        "SIGTERM, SIGINT stop; SIGUSR1 stops when the workers have finished what they have received;\n"
        "SIGHUP loads certificates and the files of users again\n",
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
