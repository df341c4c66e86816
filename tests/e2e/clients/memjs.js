// memjs.  usage: node memjs.js HOST PORT binary
'use strict';

const { equal, truth, fails, skip, eventually, restart, load, run, ...data } = require('./checks.js');
const memjs = load('memjs');

const [host, port] = process.argv.slice(2);
const quiet = { log() {} };
const options = {
    retries: 3, retry_delay: 0.02, failoverTime: 1, timeout: 5, conntimeout: 5, keepAlive: true, logger: quiet,
};
const { SASL_USER: username, SASL_PASSWORD: password } = process.env;
const connect = (login) => memjs.Client.create(`${host}:${port}`, { ...options, ...login });
const m = connect(username ? { username, password } : {});

const text = async (key) => {
    const { value } = await m.get(key);
    return value === null ? null : value.toString();
};
const statistics = (what) =>
    new Promise((done, failed) => {
        const call = (error, server, values) => (error ? failed(error) : done(values));
        return what ? m.statsWithKey(what, call) : m.stats(call);
    });

async function checkStorage() {
    equal('set', await m.set('a', '1', {}), true);
    equal('get', await text('a'), '1');
    equal('get of a missing key', await text('missing'), null);
    equal('add of an existing key', await m.add('a', '2', {}), false);
    equal('add', await m.add('b', '2', {}), true);
    equal('replace', await m.replace('b', 'mid', {}), true);
    equal('replace of a missing key', await m.replace('missing', '2', {}), false);
    equal('append', await m.append('b', 'dle'), true);
    equal('the longer text', await text('b'), 'middle');
    skip('prepend', 'memjs 1.3.2 sends APPEND for it');
    await fails('append to a missing key', m.append('missing', 'x'));
    equal('delete', await m.delete('a'), true);
    equal('delete of a missing key', await m.delete('a'), false);
    equal('touch', await m.touch('b', 100), true);
    equal('touch of a missing key', await m.touch('missing', 100), false);
}

async function checkValues() {
    const values = [['bytes', data.ALL_BYTES], ['large', data.LARGE], [data.LONGEST_KEY, Buffer.from('long')]];
    for (const [name, value] of values) {
        equal(`set of ${name}`, await m.set(name, value, {}), true);
        equal(`get of ${name}`, (await m.get(name)).value.equals(value), true);
    }
    equal('set of the empty value', await m.set('empty', '', {}), true);
    equal('get of the empty value', await text('empty'), '');
    for (const size of [1, 1023, 4096, 16384, 65535, 65536, 200000]) {
        const value = data.LARGE.subarray(0, size);
        equal(`set of ${size} bytes`, await m.set('sized', value, {}), true);
        equal(`get of ${size} bytes`, (await m.get('sized')).value.equals(value), true);
    }
    await fails('too large a value', m.set('large', data.TOO_LARGE, {}));
    truth('the client trusts the server again', await eventually(() => text('b'), 'middle'));
    equal('a refused value leaves nothing', await text('large'), null);
}

async function checkNumbers() {
    equal('increment with an initial value', (await m.increment('n', 5, { initial: 10 })).value, 10);
    equal('increment', (await m.increment('n', 32, { initial: 1 })).value, 42);
    equal('decrement', (await m.decrement('n', 2, { initial: 1 })).value, 40);
    equal('decrement stops at 0', (await m.decrement('n', 100, { initial: 1 })).value, 0);
    await m.set('words', 'abc', {});
    await fails('increment of a text', m.increment('words', 1, {}));
}

// The client sends all of them on one connection before it reads the first answer.
async function checkPipeline() {
    const sets = await Promise.all([...data.MANY].map(([key, value]) => m.set(key, value, {})));
    equal('1000 sets at once', sets.every((stored) => stored === true), true);
    const values = await Promise.all([...data.MANY.keys()].map(text));
    equal('1000 gets at once', values, [...data.MANY.values()]);
    const mixed = Array.from({ length: 100 }, (_, i) => [m.set(`mixed${i}`, `${i}`, {}), text(`mixed${i}`), m.delete(`mixed${i}`)]);
    const want = Array.from({ length: 100 }, (_, i) => [true, `${i}`, true]);
    equal('sets, gets and deletes at once', await Promise.all(mixed.flat()), want.flat());
}

async function checkLogin() {
    if (!username) {
        return;
    }
    await fails('a wrong password', connect({ username, password: 'wrong', retries: 1 }).set('stranger', 'x', {}));
    equal('nothing was stored', await text('stranger'), null);
}

run(async () => {
    await m.set('short_lived', 'x', { expires: 1 });
    await checkStorage();
    await checkValues();
    await checkNumbers();
    await checkPipeline();
    await checkLogin();
    const stats = await statistics();
    truth('stats: curr_items', Number(stats.curr_items) > 1000);
    truth('stats: version', /^1\.6\.\d+$/.test(stats.version));
    truth('stats settings', 'maxbytes' in (await statistics('settings')));
    truth('stats slabs', 'active_slabs' in (await statistics('slabs')));
    truth('stats items', Object.keys(await statistics('items')).some((name) => name.startsWith('items:')));
    truth('a value with an expiry goes', await eventually(() => text('short_lived'), null));
    truth('flush', await m.flush());
    equal('everything is gone', await text('many1'), null);
    await m.set('kept', '1', {});
    await restart();
    truth('set after the restart', await eventually(() => m.set('fresh', '2', {}), true));
    equal('get after the restart', await text('fresh'), '2');
    equal('the new server is empty', await text('kept'), null);
});
