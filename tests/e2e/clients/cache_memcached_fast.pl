# Cache::Memcached::Fast, in C.  usage: perl cache_memcached_fast.pl HOST PORT text

use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Checks;

my ($host, $port) = @ARGV;
load_or_leave('Cache::Memcached::Fast', 'libcache-memcached-fast-perl');

sub connection {
    return Cache::Memcached::Fast->new({
        servers => ["$host:$port"], compress_threshold => 10_000, max_failures => 1000, failure_timeout => 1,
        io_timeout => 10, max_size => 4 << 20, @_,
    });
}

sub check_storage {
    my ($m) = @_;
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
}

sub check_values {
    my ($m) = @_;
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
    my $text = 'squeeze me ' x 5000;
    truth('set compressed', $m->set('compressed', $text));
    equal('get compressed', $m->get('compressed'), $text);
    my $utf8 = connection(utf8 => 1);
    $utf8->set('text', "h\x{e4}\x{df} \x{2713}");
    truth('wide characters', $utf8->get('text') eq "h\x{e4}\x{df} \x{2713}");
    connection(namespace => 'app:')->set('x', 'named');
    equal('a namespace', $m->get('app:x'), 'named');
}

sub check_cas_and_numbers {
    my ($m) = @_;
    $m->set('c', 'old');
    my $found = $m->gets('c');
    equal('gets', $found->[1], 'old');
    truth('cas', $m->cas('c', $found->[0], 'new'));
    truth('cas with an old number', !$m->cas('c', $found->[0], 'late'));
    equal('the value after cas', $m->get('c'), 'new');
    $m->set('n', 10);
    equal('incr', $m->incr('n', 32), 42);
    equal('decr', $m->decr('n', 2), 40);
    equal('decr stops at 0', $m->decr('n', 100), '0E0');
    truth('incr of a missing key', !$m->incr('nothing'));
    equal('incr_multi', $m->incr_multi(['n', 7], ['nothing', 1])->{n}, 7);
    truth('touch', $m->touch('n', 100));
    truth('touch of a missing key', !$m->touch('nothing', 100));
    equal('gat', $m->gat(100, 'c'), 'new');
    equal('gats', $m->gats(100, 'c')->[1], 'new');
    equal('gat_multi', $m->gat_multi(100, 'b', 'c', 'missing'), { b => 'in the middle', c => 'new' });
}

sub check_many {
    my ($m) = @_;
    my $stored = $m->set_multi(map { [$_, $MANY{$_}] } keys %MANY);
    equal('set_multi', scalar(grep { $_ } values %$stored), 1000);
    equal('get_multi', $m->get_multi(sort(keys %MANY), 'missing1', 'missing2'), \%MANY);
    equal('gets_multi', scalar(keys %{ $m->gets_multi(keys %MANY) }), 1000);
    equal('get_multi of missing keys', $m->get_multi(map { "missing$_" } 1 .. 500), {});
    my $deleted = $m->delete_multi('many1', 'many2', 'missing1');
    equal('delete_multi', [map { $_ ? 1 : 0 } @$deleted{qw(many1 many2 missing1)}], [1, 1, 0]);
    my $added = $m->add_multi(['many1', 'value 1'], ['many3', 'x']);
    equal('add_multi', [map { $_ ? 1 : 0 } @$added{qw(many1 many3)}], [1, 0]);
}

# A command whose result is not asked for goes out with `noreply`; with nowait it is not waited for.
sub check_quiet {
    my ($m) = @_;
    my $quiet = connection(nowait => 1);
    $quiet->set("quiet$_", $_) for 1 .. 500;
    $quiet->incr('quiet1', 5);
    $quiet->delete('quiet2');
    $quiet->append('quiet3', 'x');
    $quiet->nowait_push;
    equal('after quiet commands', $quiet->get_multi(map { "quiet$_" } 1 .. 4, 500),
        { quiet1 => 6, quiet3 => '3x', quiet4 => 4, quiet500 => 500 });
}

my $m = connection();
$m->set('short_lived', 'x', 1);
check_storage($m);
check_values($m);
check_cas_and_numbers($m);
check_many($m);
check_quiet($m);
truth('server_versions', $m->server_versions->{"$host:$port"} =~ /^1\.6\.\d+$/);
truth('a value with an expiry goes', eventually(sub { $m->get('short_lived') }, undef));
truth('flush_all with a delay', $m->flush_all(100)->{"$host:$port"});
equal('nothing is gone yet', $m->get('many9'), 'value 9');
truth('flush_all', $m->flush_all->{"$host:$port"});
equal('everything is gone', $m->get_multi(keys %MANY), {});
$m->set('kept', '1');
restart();
truth('set after the restart', eventually(sub { $m->set('fresh', '2') ? 1 : 0 }, 1));
equal('get after the restart', $m->get('fresh'), '2');
equal('the new server is empty', $m->get('kept'), undef);
finish();
