// What the programs for node share: counting, and the conversation that tests/support/foreign.py describes.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const util = require('util');

const WAIT_MS = 10000;
const counts = { passed: 0, failed: 0, skipped: 0 };

function say(line) {
    fs.writeSync(1, line + '\n');
}

function equal(name, got, want) {
    if (util.isDeepStrictEqual(got, want)) {
        counts.passed++;
        return;
    }
    counts.failed++;
    const shown = (value) => util.inspect(value, { breakLength: Infinity }).replace(/\n/g, ' ').slice(0, 300);
    say(`FAILED ${name}: got ${shown(got)}, want ${shown(want)}`);
}

function truth(name, got) {
    equal(name, Boolean(got), true);
}

async function fails(name, promise) {
    let got;
    try {
        got = await promise;
    } catch (error) {
        counts.passed++;
        return;
    }
    equal(name, got, 'an error');
}

function skip(name, why) {
    counts.skipped++;
    say(`skipped ${name}: ${why}`);
}

// Whether the promise that `call` makes gives `want` before long.
async function eventually(call, want) {
    for (const until = Date.now() + WAIT_MS; Date.now() < until; ) {
        try {
            if (util.isDeepStrictEqual(await call(), want)) {
                return true;
            }
        } catch (error) {
            // the server is away, or the client does not know yet that it is back
        }
        await new Promise((wake) => setTimeout(wake, 20)); // between two looks
    }
    return false;
}

function restart() {
    say('restart');
    return new Promise((ready) => process.stdin.once('data', ready));
}

// The module, which `make deps` puts into a folder of its own.
function load(name) {
    const folder = process.env.NODE_MODULES || path.join(__dirname, '../../../build/npm/node_modules');
    let found;
    try {
        found = require(path.join(folder, name));
    } catch (error) {
        say(`unavailable ${name} is not installed; make deps does it where npm is`);
        process.exit(0);
    }
    say(`version ${require(path.join(folder, name, 'package.json')).version}`);
    return found;
}

function run(main) {
    main().then(
        () => {
            say(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
            process.exit(counts.failed ? 1 : 0);
        },
        (error) => {
            say(String(error && error.stack ? error.stack : util.inspect(error)));
            process.exit(2);
        }
    );
}

const MANY = new Map(Array.from({ length: 1000 }, (_, i) => [`many${i}`, `value ${i}`]));
const ALL_BYTES = Buffer.concat([
    Buffer.from(Array.from({ length: 256 }, (_, i) => i)),
    Buffer.from('\r\nEND\r\nVALUE x 0 1\r\n\0'),
]);
const LARGE = crypto.randomBytes(1000000);
const TOO_LARGE = crypto.randomBytes(2 << 20);
const LONGEST_KEY = 'k'.repeat(250);

module.exports = {
    equal, truth, fails, skip, eventually, restart, load, run, MANY, ALL_BYTES, LARGE, TOO_LARGE, LONGEST_KEY,
};
