# Cache::Memcached, in pure Perl.  usage: perl cache_memcached.pl HOST PORT text

use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Checks;

my ($host, $port) = @ARGV;
load_or_leave('Cache::Memcached', 'libcache-memcached-perl');

my $m = Cache::Memcached->new({ servers => ["$host:$port"], compress_threshold => 10_000, no_rehash => 1 });
$m->set('short_lived', 'x', 1);

truth('set', $m->set('a', '1'));
equal('get', $m->get('a'), '1');
equal('get of a missing key', $m->get('missing'), undef);
truth('add of an existing key', !$m->add('a', '2'));
truth('add', $m->add('b', '2'));
truth('replace', $m->replace('b', 'mid'));
truth('replace of a missing key', !$m->replace('missing', '2'));
truth('append', $m->append('b', 'dle'));
truth('prepend', $m->prepend('b', 'in the '));
equal('the longer text', $m->get('b'), 'in the middle');
truth('append to a missing key', !$m->append('missing', 'x'));
truth('delete', $m->delete('a'));
truth('delete of a missing key', !$m->delete('a'));
truth('the old delete with a time of 0', $m->set('a', '1') && $m->delete('a', 0));

my $structure = { list => [1, 2.5, undef], nested => { a => { b => 'c' } } };
my %values = (bytes => $ALL_BYTES, empty => '', number => 12345, structure => $structure, $LONGEST_KEY => 'long');
for my $name (sort keys %values) {
    truth("set of $name", $m->set($name, $values{$name}));
    equal("get of $name", $m->get($name), $values{$name});
}
for my $size (1, 1023, 4096, 16384, 65535, 65536, 200000, 1000000) {
    truth("set of $size bytes", $m->set('sized', substr($LARGE, 0, $size)));
    truth("get of $size bytes", $m->get('sized') eq substr($LARGE, 0, $size));
}
truth('too large a value', !$m->set('sized', $TOO_LARGE));
truth('the client trusts the server again', eventually(sub { $m->get('number') }, 12345));
equal('a refused value leaves nothing', $m->get('sized'), undef);

$m->set('n', 10);
equal('incr', $m->incr('n', 32), 42);
equal('decr', $m->decr('n', 2), 40);
equal('decr stops at 0', $m->decr('n', 100), 0);
truth('incr of a missing key', !$m->incr('nothing'));

$m->set($_, $MANY{$_}) for keys %MANY;
equal('get_multi', $m->get_multi(sort(keys %MANY), 'missing1', 'missing2'), \%MANY);
equal('get_multi of missing keys', $m->get_multi(map { "missing$_" } 1 .. 500), {});
my $text = 'squeeze me ' x 5000;
truth('set compressed', $m->set('compressed', $text));
equal('get compressed', $m->get('compressed'), $text);
my $named = Cache::Memcached->new({ servers => ["$host:$port"], namespace => 'app:' });
$named->set('x', 'named');
equal('a namespace', $m->get('app:x'), 'named');

my $stats = $m->stats(['misc', 'items', 'slabs', 'malloc', 'self']);
my $misc = $stats->{hosts}{"$host:$port"}{misc};
truth('stats: curr_items', $misc->{curr_items} > 1000);
equal('stats: threads', $misc->{threads}, 2);
truth('stats items', $stats->{hosts}{"$host:$port"}{items} =~ /items:\d+:number/);
truth('stats slabs', $stats->{hosts}{"$host:$port"}{slabs} =~ /active_slabs/);
truth('stats reset', $m->stats_reset);
truth('a value with an expiry goes', eventually(sub { $m->get('short_lived') }, undef));
truth('flush_all', $m->flush_all);
equal('everything is gone', $m->get_multi(keys %MANY), {});
$m->set('kept', '1');
restart();
truth('set after the restart', eventually(sub { $m->set('fresh', '2') ? 1 : 0 }, 1));
equal('get after the restart', $m->get('fresh'), '2');
equal('the new server is empty', $m->get('kept'), undef);
finish();
