# Memcached::libmemcached.  usage: perl memcached_libmemcached.pl HOST PORT text|binary

use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Checks;

my ($host, $port, $protocol) = @ARGV;
load_or_leave('Memcached::libmemcached', 'libmemcached-libmemcached-perl');

my $m = Memcached::libmemcached->new;
truth('a server', $m->memcached_server_add($host, $port));
$m->memcached_behavior_set(Memcached::libmemcached::MEMCACHED_BEHAVIOR_BINARY_PROTOCOL(), $protocol eq 'binary');
$m->memcached_behavior_set(Memcached::libmemcached::MEMCACHED_BEHAVIOR_SUPPORT_CAS(), 1);
$m->memcached_behavior_set(Memcached::libmemcached::MEMCACHED_BEHAVIOR_SERVER_FAILURE_LIMIT(), 1000);
$m->memcached_behavior_set(Memcached::libmemcached::MEMCACHED_BEHAVIOR_RETRY_TIMEOUT(), 0);
$m->memcached_set('short_lived', 'x', 1);

truth('set', $m->memcached_set('a', '1'));
equal('get', $m->memcached_get('a'), '1');
equal('get of a missing key', $m->memcached_get('missing'), undef);
truth('add of an existing key', !$m->memcached_add('a', '2'));
truth('add', $m->memcached_add('b', '2'));
truth('replace', $m->memcached_replace('b', 'mid'));
truth('replace of a missing key', !$m->memcached_replace('missing', '2'));
truth('append', $m->memcached_append('b', 'dle'));
truth('prepend', $m->memcached_prepend('b', 'in the '));
equal('the longer text', $m->memcached_get('b'), 'in the middle');
truth('append to a missing key', !$m->memcached_append('missing', 'x'));
truth('delete', $m->memcached_delete('a'));
truth('delete of a missing key', !$m->memcached_delete('a'));

truth('set with flags', $m->memcached_set('flagged', 'x', 0, 0xbeef));
my $flags = 0;
equal('get with flags', $m->memcached_get('flagged', $flags), 'x');
equal('the flags', $flags, 0xbeef);
my %values = (bytes => $ALL_BYTES, empty => '', large => $LARGE, $LONGEST_KEY => 'long');
for my $name (sort keys %values) {
    truth("set of $name", $m->memcached_set($name, $values{$name}));
    my $got = $m->memcached_get($name);
    truth("get of $name", ($got // '') eq $values{$name});
}
truth('too large a value', !$m->memcached_set('large', $TOO_LARGE));
truth('the client trusts the server again', eventually(sub { $m->memcached_get('flagged') }, 'x'));
equal('a refused value leaves nothing', $m->memcached_get('large'), undef);
$m->memcached_set('n', 10);
my $number = 0;
truth('increment', $m->memcached_increment('n', 32, $number));
equal('its result', $number, 42);
truth('decrement', $m->memcached_decrement('n', 2, $number));
equal('its result', $number, 40);
truth('increment of a missing key', !$m->memcached_increment('nothing', 1, $number));
if ($protocol eq 'binary') {
    truth('increment with an initial value', $m->memcached_increment_with_initial('counter', 5, 100, 60, $number));
    equal('its result', $number, 100);
} else {
    skip('increment with an initial value', 'the text protocol has none');
}
$m->memcached_set($_, $MANY{$_}) for keys %MANY;
my %got;
truth('mget', $m->mget_into_hashref([sort(keys %MANY), 'missing1'], \%got));
equal('what it got', \%got, \%MANY);
truth('version', $m->memcached_version =~ /^1\.6\.\d+/);
my %stats;
$m->walk_stats('', sub { my ($key, $value) = @_; $stats{$key} = $value; return });
truth('stats: curr_items', $stats{curr_items} > 1000);
truth('stats: threads', $stats{threads} == 2);
truth('a value with an expiry goes', eventually(sub { $m->memcached_get('short_lived') }, undef));
truth('flush', $m->memcached_flush(0));
equal('everything is gone', $m->memcached_get('many1'), undef);
$m->memcached_set('kept', '1');
restart();
truth('set after the restart', eventually(sub { $m->memcached_set('fresh', '2') ? 1 : 0 }, 1));
equal('get after the restart', $m->memcached_get('fresh'), '2');
equal('the new server is empty', $m->memcached_get('kept'), undef);
finish();
