<?php
// What the programs in PHP share: counting, and the conversation that tests/support/foreign.py describes.

$passed = $failed = $skipped = 0;

const WAIT_S = 10;
define('ALL_BYTES', implode('', array_map('chr', range(0, 255))) . "\r\nEND\r\nVALUE x 0 1\r\n\0");
define('LARGE', random_bytes(1000000));
define('TOO_LARGE', random_bytes(2 << 20));
define('LONGEST_KEY', str_repeat('k', 250));

// Not by echo: a session does not start once something was echoed.
function say(string $line): void
{
    fwrite(STDOUT, "$line\n");
}

function shown($value): string
{
    return substr(json_encode($value, JSON_PARTIAL_OUTPUT_ON_ERROR), 0, 300);
}

function equal(string $name, $got, $want): void
{
    global $passed, $failed;
    if ($got === $want) {
        $passed++;
        return;
    }
    $failed++;
    say("FAILED $name: got " . shown($got) . ', want ' . shown($want));
}

function true(string $name, $got): void
{
    equal($name, (bool)$got, true);
}

function skip(string $name, string $why): void
{
    global $skipped;
    $skipped++;
    say("skipped $name: $why");
}

// Whether $call gives $want before long.
function eventually(callable $call, $want): bool
{
    for ($until = microtime(true) + WAIT_S; microtime(true) < $until; usleep(20000)) {
        if ($call() === $want) {
            return true;
        }
    }
    return false;
}

function restart(): void
{
    say('restart');
    fgets(STDIN);
}

function many(int $count): array
{
    $many = [];
    for ($i = 0; $i < $count; $i++) {
        $many["many$i"] = "value $i";
    }
    return $many;
}

function finish(): void
{
    global $passed, $failed, $skipped;
    say("$passed passed, $failed failed, $skipped skipped");
    exit($failed ? 1 : 0);
}

set_error_handler(function ($level, $message, $file, $line) {
    if (error_reporting() & $level) {
        equal("$file:$line", $message, 'no warning');
    }
    return true;
});
