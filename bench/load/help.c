/* larder-load --help. */
#include "config.h"

#include "bench/load/options.h"

#include <stdio.h>

void
help_print(void)
{
    static const char text[] =
        "larder-load: load for a memcached-compatible server; checks every value that comes back\n"
        "usage: larder-load [options]\n"
        "\n"
        "Where\n"
        "  -s, --server=ADDRESS       HOST:PORT, [V6]:PORT, or the path of a unix socket (127.0.0.1:11211)\n"
        "  -P, --protocol=NAME        text, meta or binary (text)\n"
        "      --tls                  TLS; --tls-ca=FILE checks the server, --tls-cert=FILE is ours, with its key\n"
        "\n"
        "How much\n"
        "  -t, --threads=N            threads (1)\n"
        "  -c, --connections=N        connections, over all threads (16)\n"
        "  -p, --pipeline=N           requests at a time on a connection (1)\n"
        "  -R, --rate=N               open loop: N requests a second are due, whether others are answered or not;\n"
        "                             latency counts from when a request was due\n"
        "      --arrivals=HOW         with --rate: poisson or even (poisson)\n"
        "      --ramp=SECONDS         opens the connections over this time (0)\n"
        "      --fill[=SECONDS]       before all: sets each key once, within this time (60)\n"
        "      --warm-up=SECONDS      load that is not counted, before the run (0)\n"
        "  -d, --seconds=SECONDS      length of the run (10)\n"
        "      --timeout=SECONDS      silence of the server that ends the run (5)\n"
        "\n"
        "What\n"
        "  -r, --ratio=SETS:GETS      the mix (1:9; with --look-aside 0:1)\n"
        "  -k, --keys-per-get=N       keys of one get (1)\n"
        "      --look-aside           sets what a get missed, as an application does\n"
        "  -f, --trace=FILE           replays a trace, look-aside; - is the standard input.  A line is\n"
        "                             KEY [KEY_LEN [VALUE_LEN [TTL [get|set|delete]]]], - for what is not known\n"
        "  -n, --keys=N               number of keys (100000)\n"
        "  -D, --distribution=HOW     uniform, zipf:EXPONENT, gauss[:DEVIATION], sequential (uniform)\n"
        "  -K, --key-size=SIZE        bytes (16); --key-prefix=TEXT is what they begin with (key-)\n"
        "  -v, --value-size=SIZE      bytes (100); --value-max=N cuts longer ones (1000000)\n"
        "                             SIZE is N, A-B, NxWEIGHT,NxWEIGHT.., ln:MEDIAN:SIGMA, etc, or @FILE of\n"
        "                             lines 'size weight'; an object's size depends on its key alone\n"
        "  -T, --ttl=SECONDS          of what is set (0: for ever)\n"
        "      --seed=N               other draws (1)\n"
        "      --no-verify            takes the values as they are\n"
        "\n"
        "Output\n"
        "  -j, --json=FILE            the figures as JSON; - is the standard output, then in place of the table\n"
        "  -q, --quiet                no line of progress\n"
        "  -h, --help\n"
        "\n"
        "Exit codes: 0; 1 bad option; 2 a wrong value, a broken reply, a lost connection, no answer;\n"
        "64 options that do not go together; 71 cannot connect\n";
    fputs(text, stdout);
}
