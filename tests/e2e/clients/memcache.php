<?php
// php-memcache (PECL memcache, a client of its own).  usage: php memcache.php HOST PORT text|binary

require __DIR__ . '/checks.php';
if (!extension_loaded('memcache')) {
    say('unavailable the extension memcache of PHP is not installed');
    exit(0);
}
[, $host, $port, $protocol] = $argv;
say('version ' . phpversion('memcache'));
ini_set('memcache.protocol', $protocol === 'binary' ? 'binary' : 'ascii');
ini_set('memcache.chunk_size', '32768');
// What the client says about a server that is away, or about a value that is refused, is a notice; PHP 8.2
// objects to how the client keeps its connection.
error_reporting(E_ALL & ~E_NOTICE & ~E_DEPRECATED);

$m = new MemcachePool();
true('addServer', $m->addServer($host, (int)$port, 0, false, 1, 5, 0));
$m->set('short_lived', 'x', 0, 1);
equal('set', $m->set('a', '1'), true);
equal('get', $m->get('a'), '1');
equal('get of a missing key', $m->get('missing'), false);
equal('add of an existing key', $m->add('a', '2'), false);
equal('add', $m->add('b', '2'), true);
equal('replace', $m->replace('b', 'mid'), true);
equal('replace of a missing key', $m->replace('missing', '2'), false);
equal('append', $m->append('b', 'dle'), true);
equal('prepend', $m->prepend('b', 'in the '), true);
equal('the longer text', $m->get('b'), 'in the middle');
equal('append to a missing key', $m->append('missing', 'x'), false);
equal('delete', $m->delete('a'), true);
equal('delete of a missing key', $m->delete('a'), false);

$values = ['bytes' => ALL_BYTES, 'empty' => '', 'integer' => 12345, 'float' => 2.5, 'true' => true,
    'structure' => ['list' => [1, 2.5, null], 'nested' => ['a' => ['b' => true]]], 'large' => LARGE,
    LONGEST_KEY => 'long'];
foreach ($values as $name => $value) {
    equal("set of $name", $m->set($name, $value), true);
    equal("get of $name", $m->get($name), $value);
}
equal('too large a value', $m->set('large', TOO_LARGE), false);
true('the client trusts the server again', eventually(fn() => $m->get('integer'), 12345));
equal('a refused value leaves nothing', $m->get('large'), false);

$m->set('c', 'old', 0x10000);
$flags = $cas = null;
equal('get with flags and cas', $m->get('c', $flags, $cas), 'old');
equal('the flags', $flags, 0x10000);
equal('cas', $m->cas('c', 'new', 0, 0, $cas), true);
equal('cas with an old number', $m->cas('c', 'late', 0, 0, $cas), false);
equal('the value after cas', $m->get('c'), 'new');

$m->set('n', '10');
equal('increment', $m->increment('n', 32), 42);
equal('decrement', $m->decrement('n', 2), 40);
equal('decrement stops at 0', $m->decrement('n', 100), 0);
equal('increment of a missing key', $m->increment('nothing'), false);

$many = many(1000);
equal('set of many', $m->set($many), true);
$got = $m->get([...array_keys($many), 'missing1']);
ksort($many);
ksort($got);
equal('get of many', $got, $many);
equal('get of missing keys', $m->get(['missing1', 'missing2']), []);
$m->setCompressThreshold(1000, 0.2);
$text = str_repeat('squeeze me ', 5000);
equal('set compressed', $m->set('compressed', $text, MEMCACHE_COMPRESSED), true);
equal('get compressed', $m->get('compressed'), $text);

true('getVersion', preg_match('/^1\.6\.\d+$/', $m->getVersion()));
if ($protocol === 'text') {
    true('getStats', $m->getStats()['curr_items'] > 1000);
    true('getExtendedStats', $m->getExtendedStats()["$host:$port"]['threads'] == 2);
    true('stats slabs', count($m->getStats('slabs')) > 1);
    true('stats items', count($m->getStats('items')) > 0);
} else {
    skip('getStats', 'the client has no statistics in binary');
}
true('a value with an expiry goes', eventually(fn() => $m->get('short_lived'), false));
equal('flush', $m->flush(), true);
equal('everything is gone', $m->get(array_keys($many)), []);
$m->set('kept', '1');
restart();
true('set after the restart', eventually(fn() => $m->set('fresh', '2'), true));
equal('get after the restart', $m->get('fresh'), '2');
equal('the new server is empty', $m->get('kept'), false);
finish();
