// memcached (3rd-Eden).  usage: node memcached.js HOST PORT text
'use strict';

const { promisify } = require('util');
const { equal, truth, fails, eventually, restart, load, run, ...data } = require('./checks.js');
const Memcached = load('memcached');

const [host, port] = process.argv.slice(2);
const m = new Memcached(`${host}:${port}`, {
    maxValue: 4 << 20, maxKeySize: 250, poolSize: 4, timeout: 5000, retries: 0, retry: 20, reconnect: 20, failures: 1000,
});
const call = (name, ...args) => promisify(m[name].bind(m))(...args);
const text = (key) => call('get', key);

async function checkStorage() {
    equal('set', await call('set', 'a', '1', 0), true);
    equal('get', await text('a'), '1');
    equal('get of a missing key', await text('missing'), undefined);
    await fails('add of an existing key', call('add', 'a', '2', 0));
    equal('add', await call('add', 'b', '2', 0), true);
    equal('replace', await call('replace', 'b', 'mid', 0), true);
    await fails('replace of a missing key', call('replace', 'missing', '2', 0));
    equal('append', await call('append', 'b', 'dle'), true);
    equal('prepend', await call('prepend', 'b', 'in the '), true);
    equal('the longer text', await text('b'), 'in the middle');
    await fails('append to a missing key', call('append', 'missing', 'x'));
    equal('delete', await call('del', 'a'), true);
    equal('delete of a missing key', await call('del', 'a'), false);
    equal('touch', await call('touch', 'b', 100), true);
    equal('touch of a missing key', await call('touch', 'missing', 100), false);
}

async function checkValues() {
    const values = [ // bytes grow on their way through this client: a large value is a text
        ['bytes', data.ALL_BYTES], ['large', 'x'.repeat(1000000)], ['number', 12345], ['true', true], ['empty', ''],
        ['object', { list: [1, 2.5, null], nested: { a: 'häß ✓' } }], [data.LONGEST_KEY, 'long'],
    ];
    for (const [name, value] of values) {
        equal(`set of ${name}`, await call('set', name, value, 0), true);
        equal(`get of ${name}`, await text(name), value);
    }
    for (const size of [1, 1023, 4096, 16384, 65535, 65536, 200000]) {
        const value = data.LARGE.subarray(0, size);
        equal(`set of ${size} bytes`, await call('set', 'sized', value, 0), true);
        equal(`get of ${size} bytes`, value.equals(await text('sized')), true);
    }
    equal('too large a value', await call('set', 'large', data.TOO_LARGE, 0), false);
    truth('the client trusts the server again', await eventually(() => text('number'), 12345));
    equal('a refused value leaves nothing', await text('large'), undefined);
    equal('a longer key is hashed by the client', await call('set', 'k'.repeat(251), 'x', 0), true);
    equal('and found', await text('k'.repeat(251)), 'x');
}

async function checkCas() {
    await call('set', 'c', 'old', 0);
    const { c, cas } = await call('gets', 'c');
    equal('gets', c, 'old');
    equal('cas', await call('cas', 'c', 'new', cas, 0), true);
    equal('cas with an old number', await call('cas', 'c', 'late', cas, 0), false);
    equal('the value after cas', await text('c'), 'new');
    await call('set', 'n', '10', 0);
    equal('incr', await call('incr', 'n', 32), 42);
    equal('decr', await call('decr', 'n', 2), 40);
    equal('decr stops at 0', await call('decr', 'n', 100), 0);
    equal('incr of a missing key', await call('incr', 'nothing', 1), false);
    await fails('incr of a text', call('incr', 'c', 1));
}

async function checkMany() {
    const sets = await Promise.all([...data.MANY].map(([key, value]) => call('set', key, value, 0)));
    equal('1000 sets at once', sets.every((stored) => stored === true), true);
    equal('getMulti', await call('getMulti', [...data.MANY.keys(), 'missing1']), Object.fromEntries(data.MANY));
    equal('getMulti of missing keys', await call('getMulti', Array.from({ length: 500 }, (_, i) => `missing${i}`)), {});
    const values = await Promise.all([...data.MANY.keys()].map(text));
    equal('1000 gets at once', values, [...data.MANY.values()]);
}

async function checkServer() {
    const [version] = await call('version');
    truth('version', /^1\.6\.\d+$/.test(version.version));
    const [stats] = await call('stats');
    truth('stats: curr_items', stats.curr_items > 1000);
    equal('stats: threads', stats.threads, 2);
    truth('settings', 'maxbytes' in (await call('settings'))[0]);
    truth('slabs', Object.keys((await call('slabs'))[0]).length > 1);
    truth('items', Object.keys((await call('items'))[0]).length > 1);
}

run(async () => {
    await call('set', 'short_lived', 'x', 1);
    await checkStorage();
    await checkValues();
    await checkCas();
    await checkMany();
    await checkServer();
    truth('a value with an expiry goes', await eventually(() => text('short_lived'), undefined));
    equal('flush', await call('flush'), [true]);
    equal('everything is gone', await call('getMulti', [...data.MANY.keys()]), {});
    await call('set', 'kept', '1', 0);
    await restart();
    truth('set after the restart', await eventually(() => call('set', 'fresh', '2', 0), true));
    equal('get after the restart', await text('fresh'), '2');
    equal('the new server is empty', await text('kept'), undefined);
    m.end();
});
