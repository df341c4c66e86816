# Contract 1.5: verbosity, cache_memlimit, shutdown, and commands that this server does not know yet.

case verbosity
> verbosity 0
> verbosity 1
> verbosity 2
> verbosity 99
> verbosity
> verbosity x
> verbosity -1
> verbosity noreply
> verbosity 0 noreply
> verbosity x noreply
> mn
< OK
< OK
< OK
< OK
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< MN

case verbosity is capped
> verbosity 7
> stats settings
< OK
<...
< STAT verbosity 2
<...
< END

case cache_memlimit
> cache_memlimit
> cache_memlimit x
> cache_memlimit -1
> cache_memlimit 7
> cache_memlimit 0
> cache_memlimit 1000000001
> cache_memlimit 8 noreply
> cache_memlimit x noreply
> cache_memlimit 8
> stats settings
< ERROR
< ERROR
< ERROR
< MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m
< MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m
< MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes
< OK
< STAT maxbytes 8388608
<...
< END

case shutdown is off by default
> shutdown
> shutdown graceful
> shutdown x
> shutdown noreply
> mn
< SERVER_ERROR: shutdown not enabled
< SERVER_ERROR: shutdown not enabled
< SERVER_ERROR: shutdown not enabled
< MN

server -A
case shutdown closes
process
> version
> shutdown
> version
< VERSION 1.6.45
close

case shutdown ends the server
socket
> shutdown
close

case graceful shutdown closes
> shutdown graceful
close

case shutdown knows no other mode
> shutdown now
> shutdown graceful now
> shutdown GRACEFUL
> shutdown now noreply
> mn
< CLIENT_ERROR invalid shutdown mode
< CLIENT_ERROR invalid shutdown mode
< CLIENT_ERROR invalid shutdown mode
< MN

case watch of an unknown class
> watch fetchers bogus
> mn
< ERROR
< MN
