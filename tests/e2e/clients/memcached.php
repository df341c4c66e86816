<?php
// php-memcached (on libmemcached).  usage: php memcached.php HOST PORT text|binary

require __DIR__ . '/checks.php';
if (!extension_loaded('memcached')) {
    say('unavailable the extension memcached of PHP is not installed');
    exit(0);
}
[, $host, $port, $protocol] = $argv;
say('version ' . phpversion('memcached'));

function connect(array $options = [], ?string $password = null): Memcached
{
    global $host, $port, $protocol;
    $client = new Memcached();
    $client->setOptions($options + [
        Memcached::OPT_BINARY_PROTOCOL => $protocol === 'binary',
        Memcached::OPT_TCP_NODELAY => true,
        Memcached::OPT_COMPRESSION => false,
        Memcached::OPT_SERVER_FAILURE_LIMIT => 1000,
        Memcached::OPT_RETRY_TIMEOUT => 0,
    ]);
    if (getenv('SASL_USER') !== false) {
        $client->setSaslAuthData(getenv('SASL_USER'), $password ?? getenv('SASL_PASSWORD'));
    }
    $client->addServer($host, (int)$port);
    return $client;
}

function check_storage(Memcached $m): void
{
    equal('set', $m->set('a', '1'), true);
    equal('get', $m->get('a'), '1');
    equal('get of a missing key', $m->get('missing'), false);
    equal('its code', $m->getResultCode(), Memcached::RES_NOTFOUND);
    equal('get with a callback', $m->get('computed', function ($m, $key, &$value) {
        $value = 'made';
        return true;
    }), 'made');
    equal('what the callback stored', $m->get('computed'), 'made');
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
    equal('its code again', $m->getResultCode(), Memcached::RES_NOTFOUND);
}

function check_values(Memcached $m): void
{
    $structure = ['list' => [1, 2.5, null], 'bytes' => 'text', 'nested' => ['a' => ['b' => true]]];
    $values = ['bytes' => ALL_BYTES, 'empty' => '', 'integer' => 12345, 'float' => 2.5, 'true' => true,
        'structure' => $structure, 'large' => LARGE, LONGEST_KEY => 'long'];
    foreach ($values as $name => $value) {
        equal("set of $name", $m->set($name, $value), true);
        equal("get of $name", $m->get($name), $value);
    }
    foreach ([1, 1023, 4096, 16384, 65535, 65536, 200000] as $size) {
        equal("set of $size bytes", $m->set('sized', substr(LARGE, 0, $size)), true);
        equal("get of $size bytes", $m->get('sized'), substr(LARGE, 0, $size));
    }
    equal('too large a value', $m->set('large', TOO_LARGE), false);
    true('the client trusts the server again', eventually(fn() => $m->get('integer'), 12345));
    equal('a refused value leaves nothing', $m->get('large'), false);
    equal('and its code is not found', $m->getResultCode(), Memcached::RES_NOTFOUND);
    equal('too long a key', $m->get(str_repeat('k', 251)), false);
    equal('a key with a space', @$m->set("with space\n", 'x') && $m->get("with space\n") !== 'x', false);
    equal('the connection is in order', $m->get('integer'), 12345);
}

function check_cas(Memcached $m): void
{
    $m->set('c', 'old');
    $found = $m->get('c', null, Memcached::GET_EXTENDED);
    equal('get extended', $found['value'], 'old');
    true('a cas number', $found['cas']);
    equal('cas', $m->cas($found['cas'], 'c', 'new'), true);
    equal('cas with an old number', $m->cas($found['cas'], 'c', 'late'), false);
    equal('its code is that the data exists', $m->getResultCode(), Memcached::RES_DATA_EXISTS);
    equal('the value after cas', $m->get('c'), 'new');
    equal('cas of a missing key', $m->cas($found['cas'], 'missing', 'x'), false);
    equal('its code is not found', $m->getResultCode(), Memcached::RES_NOTFOUND);
    $m->setOption(Memcached::OPT_USER_FLAGS, 0xbeef);
    $m->set('flagged', 'x');
    $found = $m->get('flagged', null, Memcached::GET_EXTENDED);
    equal('user flags', $found['flags'], 0xbeef);
    $m->setOption(Memcached::OPT_USER_FLAGS, 0);
}

function check_numbers(Memcached $m, bool $is_binary): void
{
    $m->set('n', 10);
    equal('increment', $m->increment('n', 32), 42);
    equal('decrement', $m->decrement('n', 2), 40);
    equal('decrement stops at 0', $m->decrement('n', 100), 0);
    equal('increment of a missing key', $m->increment('nothing'), false);
    $m->set('text', 'abc');
    equal('increment of a text', $m->increment('text'), false);
    if ($is_binary) {
        equal('increment with an initial value', $m->increment('counter', 1, 100, 60), 100);
        equal('and after it', $m->increment('counter', 1, 100, 60), 101);
        equal('decrement with an initial value', $m->decrement('counter2', 1, 7, 60), 7);
    }
    equal('touch', $m->touch('n', 100), true);
    equal('touch of a missing key', $m->touch('nothing', 100), false);
}

function check_many(Memcached $m): void
{
    $many = many(1000);
    equal('setMulti', $m->setMulti($many, 100), true);
    $got = $m->getMulti([...array_keys($many), 'missing1', 'missing2']);
    ksort($many);
    ksort($got);
    equal('getMulti', $got, $many);
    $ordered = $m->getMulti(['many3', 'missing', 'many1'], Memcached::GET_PRESERVE_ORDER);
    equal('getMulti in order', $ordered, ['many3' => 'value 3', 'missing' => null, 'many1' => 'value 1']);
    $extended = $m->getMulti(['many3', 'many4'], Memcached::GET_EXTENDED);
    true('getMulti with cas', $extended['many3']['cas'] && $extended['many3']['cas'] !== $extended['many4']['cas']);
    equal('getDelayed', $m->getDelayed(array_keys($many), true), true);
    equal('fetchAll', count($m->fetchAll()), 1000);
    $m->getDelayed(['many5']);
    equal('fetch', $m->fetch()['value'], 'value 5');
    equal('fetch at the end', $m->fetch(), false);
    $deleted = $m->deleteMulti(['many1', 'many2', 'missing1']);
    equal('deleteMulti', [$deleted['many1'], $deleted['many2'], $deleted['missing1']],
        [true, true, Memcached::RES_NOTFOUND]);
    equal('getMulti of missing keys', $m->getMulti(['many1', 'many2']), []);
}

function check_encodings(): void
{
    $text = str_repeat('squeeze me ', 5000);
    $structure = ['list' => [1, 2, null], 'text' => $text];
    foreach (['FASTLZ' => Memcached::COMPRESSION_FASTLZ, 'ZLIB' => Memcached::COMPRESSION_ZLIB] as $name => $type) {
        $m = connect([Memcached::OPT_COMPRESSION => true, Memcached::OPT_COMPRESSION_TYPE => $type]);
        equal("set with $name", $m->set('compressed', $text), true);
        equal("get with $name", $m->get('compressed'), $text);
        equal("getMulti with $name", $m->getMulti(['compressed']), ['compressed' => $text]);
    }
    $serializers = ['PHP' => Memcached::SERIALIZER_PHP, 'JSON' => Memcached::SERIALIZER_JSON_ARRAY,
        'IGBINARY' => Memcached::SERIALIZER_IGBINARY, 'MSGPACK' => Memcached::SERIALIZER_MSGPACK];
    foreach ($serializers as $name => $serializer) {
        $m = connect();
        if (!$m->setOption(Memcached::OPT_SERIALIZER, $serializer)) {
            skip($name, 'this build of the client has no such serializer');
            continue;
        }
        equal("set by $name", $m->set('structure', $structure), true);
        equal("get by $name", $m->get('structure'), $structure);
    }
    $m = connect([Memcached::OPT_PREFIX_KEY => 'app:']);
    $m->set('prefixed', 'x');
    equal('a prefix for keys', connect()->get('app:prefixed'), 'x');
}

function check_quiet(Memcached $m): void
{
    $quiet = connect([Memcached::OPT_NOREPLY => true]);
    for ($i = 0; $i < 500; $i++) {
        $quiet->set("quiet$i", "$i");
    }
    $keys = array_map(fn($i) => "quiet$i", range(0, 499));
    true('500 sets without reply', eventually(fn() => count($m->getMulti($keys)), 500));
    $buffered = connect([Memcached::OPT_BUFFER_WRITES => true, Memcached::OPT_NO_BLOCK => true]);
    for ($i = 0; $i < 500; $i++) {
        $buffered->set("buffered$i", "$i");
    }
    $buffered->flushBuffers();
    $keys = array_map(fn($i) => "buffered$i", range(0, 499));
    true('500 buffered sets', eventually(fn() => count($m->getMulti($keys)), 500));
}

function check_server(Memcached $m, string $address): void
{
    true('getVersion', preg_match('/^1\.6\.\d+$/', $m->getVersion()[$address]));
    $stats = $m->getStats()[$address];
    true('stats: curr_items', $stats['curr_items'] > 1000);
    true('stats: threads', $stats['threads'] === 2);
    true('stats settings', isset($m->getStats('settings')[$address]['maxbytes']));
    true('stats slabs', isset($m->getStats('slabs')[$address]['active_slabs']));
    true('stats items', count($m->getStats('items')[$address]) > 5);
}

function check_login(Memcached $m): void
{
    if (getenv('SASL_USER') === false) {
        return;
    }
    $stranger = connect([], 'wrong');
    equal('a wrong password', $stranger->set('stranger', 'x'), false);
    equal('its code', $stranger->getResultCode(), Memcached::RES_AUTH_FAILURE);
    equal('nothing was stored', $m->get('stranger'), false);
}

function check_session(string $address): void
{
    ini_set('session.save_handler', 'memcached');
    ini_set('session.save_path', $address);
    ini_set('session.use_cookies', '0');
    ini_set('session.cache_limiter', '');
    session_id('abc123');
    equal('session_start', @session_start(), true);
    $_SESSION['user'] = ['name' => 'x', 'count' => 3];
    equal('session_write_close', session_write_close(), true);
    $_SESSION = [];
    equal('session_start again', @session_start(), true);
    equal('what the session holds', $_SESSION['user'] ?? null, ['name' => 'x', 'count' => 3]);
    equal('session_destroy', session_destroy(), true);
}

$m = connect();
$m->set('short_lived', 'x', 1);
$m->set('absolute', 'x', time() + 100);
equal('an absolute time to come', $m->get('absolute'), 'x');
$m->set('past', 'x', time() - 100);
equal('a time that is over', $m->get('past'), false);
check_storage($m);
check_values($m);
check_cas($m);
check_numbers($m, $protocol === 'binary');
check_many($m);
check_encodings();
check_quiet($m);
check_server($m, "$host:$port");
check_login($m);
if ($protocol === 'text') {
    check_session("$host:$port");
}
true('a value with an expiry goes', eventually(fn() => $m->get('short_lived'), false));
equal('flush with a delay', $m->flush(100), true);
equal('nothing is gone yet', $m->get('many9'), 'value 9');
equal('flush', $m->flush(), true);
equal('everything is gone', $m->getMulti(array_keys(many(1000))), []);
$m->set('kept', '1');
restart();
true('set after the restart', eventually(fn() => $m->set('fresh', '2'), true));
equal('get after the restart', $m->get('fresh'), '2');
equal('the new server is empty', $m->get('kept'), false);
finish();
