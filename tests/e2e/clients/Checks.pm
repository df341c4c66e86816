package Checks;

# What the programs in Perl share: counting, and the conversation that tests/support/foreign.py describes.

use strict;
use warnings;
use Time::HiRes;
use Exporter 'import';

our @EXPORT = qw(equal truth skip eventually restart finish say_line load_or_leave
    $ALL_BYTES $LARGE $TOO_LARGE $LONGEST_KEY %MANY);

use constant WAIT_S => 10;

our $ALL_BYTES = join('', map { chr } 0 .. 255) . "\r\nEND\r\nVALUE x 0 1\r\n\0";
our $LARGE = join '', map { pack 'N', int rand 0xffffffff } 1 .. 250_000;
our $TOO_LARGE = $LARGE x 2 . $LARGE;
our $LONGEST_KEY = 'k' x 250;
our %MANY = map { ("many$_" => "value $_") } 0 .. 999;

my ($passed, $failed, $skipped) = (0, 0, 0);
$| = 1;

sub say_line {
    print @_, "\n";
}

# A value as one text, the same for equal values.
sub flat {
    my ($value) = @_;
    return 'undef' if !defined $value;
    return '[' . join(', ', map { flat($_) } @$value) . ']' if ref $value eq 'ARRAY';
    return '{' . join(', ', map { "$_: " . flat($value->{$_}) } sort keys %$value) . '}' if ref $value eq 'HASH';
    return $value;
}

sub equal {
    my ($name, $got, $want) = @_;
    if (flat($got) eq flat($want)) {
        $passed++;
        return;
    }
    $failed++;
    (my $text = "got " . substr(flat($got), 0, 300) . ", want " . substr(flat($want), 0, 300)) =~ s/[^ -~]/./g;
    say_line("FAILED $name: $text");
}

sub truth {
    my ($name, $got) = @_;
    equal($name, $got ? 1 : 0, 1);
}

sub skip {
    my ($name, $why) = @_;
    $skipped++;
    say_line("skipped $name: $why");
}

# Whether $call gives $want before long.
sub eventually {
    my ($call, $want) = @_;
    for (my $until = Time::HiRes::time() + WAIT_S; Time::HiRes::time() < $until; Time::HiRes::sleep(0.02)) {
        return 1 if flat($call->()) eq flat($want);
    }
    return 0;
}

sub restart {
    say_line('restart');
    my $ready = <STDIN>;
}

# Ends the program where the module is not installed; says its version otherwise.
sub load_or_leave {
    my ($module, $package) = @_;
    if (!eval "require $module; 1") {
        say_line("unavailable $package is not installed");
        exit 0;
    }
    say_line('version ' . $module->VERSION);
}

sub finish {
    say_line("$passed passed, $failed failed, $skipped skipped");
    exit($failed ? 1 : 0);
}

1;
