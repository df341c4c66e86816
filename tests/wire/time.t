# Contract 1.1 "Time" and 1.5 "flush_all rules".  In-process the clock begins at 1700000000.

case never, and seconds from now
> set a 0 0 1
> x
> set b 0 2 1
> x
> get a b
< STORED
< STORED
< VALUE a 0 1
< x
< VALUE b 0 1
< x
< END
tick 1
> get b
< VALUE b 0 1
< x
< END
tick 1
> get a b
< VALUE a 0 1
< x
< END

case negative is at once
> set a 0 -1 1
> x
> get a
> add a 0 -100 1
> y
> add a 0 -100 1
> y
> get a
< STORED
< END
< STORED
< STORED
< END

case a set that is expired takes the older value with it
> set a 0 0 1
> x
> set a 0 -1 1
> y
> get a
< STORED
< STORED
< END

case thirty days are relative
> set a 0 2592000 1
> x
< STORED
tick 2591999
> get a
< VALUE a 0 1
< x
< END
tick 1
> get a
< END

case one second more is a time of 1970
> set a 0 2592001 1
> x
> get a
> set a 0 0 1
> y
> touch a 2592001
> get a
< STORED
< END
< STORED
< TOUCHED
< END

case absolute times
process
> set a 0 1700000005 1
> x
> set b 0 1700000000 1
> x
> set c 0 1699999999 1
> x
> get a b c
< STORED
< STORED
< STORED
< VALUE a 0 1
< x
< END
tick 4
> get a
< VALUE a 0 1
< x
< END
tick 1
> get a
< END

case times beyond 2^31 and 2^32 do not wrap
> set a 0 2147483648 1
> x
> set b 0 4294967296 1
> x
> set c 0 9223372036854775807 1
> x
> touch a 4294967297
> gat 99999999999 b
> get a b c
< STORED
< STORED
< STORED
< TOUCHED
< VALUE b 0 1
< x
< END
< VALUE a 0 1
< x
< VALUE b 0 1
< x
< VALUE c 0 1
< x
< END

case an expired item is missing for all
> set a 0 1 1
> 5
< STORED
tick 1
> replace a 0 0 1
> y
> append a 0 0 1
> y
> cas a 0 0 1 1
> y
> incr a 1
> touch a 0
> gat 0 a
> delete a
> add a 0 0 1
> z
> get a
< NOT_STORED
< NOT_STORED
< NOT_FOUND
< NOT_FOUND
< NOT_FOUND
< END
< NOT_FOUND
< STORED
< VALUE a 0 1
< z
< END

case flush_all at once
> set a 0 0 1
> x
> flush_all
> get a
> set a 0 0 1
> y
> get a
< STORED
< OK
< END
< STORED
< VALUE a 0 1
< y
< END

case flush_all 0 and negative are at once
> set a 0 0 1
> x
> flush_all 0
> get a
> set a 0 0 1
> y
> flush_all -10
> get a
> set a 0 0 1
> z
> get a
< STORED
< OK
< END
< STORED
< OK
< END
< STORED
< VALUE a 0 1
< z
< END

case flush_all with a delay
> set a 0 0 1
> x
> flush_all 3
> get a
< STORED
< OK
< VALUE a 0 1
< x
< END
tick 2
> set b 0 0 1
> y
> get a b
< STORED
< VALUE a 0 1
< x
< VALUE b 0 1
< y
< END
tick 1
> get a b
< END
tick 1
> set c 0 0 1
> z
> get a b c
< STORED
< VALUE c 0 1
< z
< END

case flush_all at an absolute time
process
> set a 0 0 1
> x
> flush_all 1700000003
> get a
< STORED
< OK
< VALUE a 0 1
< x
< END
tick 3
> get a
< END

case a second flush_all overrides the pending one
> set a 0 0 1
> x
> flush_all 3
> flush_all 100
< STORED
< OK
< OK
tick 10
> get a
< VALUE a 0 1
< x
< END

case flush_all far in the future keeps items
> set a 0 0 1
> x
> flush_all 2592000
> get a
> flush_all 99999999999
> get a
< STORED
< OK
< VALUE a 0 1
< x
< END
< OK
< VALUE a 0 1
< x
< END

case flush_all noreply and errors
> set a 0 0 1
> x
> flush_all noreply
> get a
> set a 0 0 1
> x
> flush_all 0 noreply
> get a
> flush_all x
> flush_all 1x
> flush_all x noreply
> flush_all noreply 1
> flush_all 0 1
> mn
< STORED
< END
< STORED
< END
< CLIENT_ERROR invalid exptime argument
< CLIENT_ERROR invalid exptime argument
< CLIENT_ERROR invalid exptime argument
< OK
< MN

case flushed items are missing for all
> set a 0 0 1
> 5
> flush_all
> replace a 0 0 1
> y
> append a 0 0 1
> y
> cas a 0 0 1 1
> y
> incr a 1
> touch a 0
> gat 0 a
> delete a
> add a 0 0 1
> z
< STORED
< OK
< NOT_STORED
< NOT_STORED
< NOT_FOUND
< NOT_FOUND
< NOT_FOUND
< END
< NOT_FOUND
< STORED

server -F
case with -F flush_all is refused, and counted
> set a 0 0 1
> x
> flush_all
> flush_all 10
> flush_all noreply
> get a
> stats
< STORED
< CLIENT_ERROR flush_all not allowed
< CLIENT_ERROR flush_all not allowed
< VALUE a 0 1
< x
< END
<...
< STAT cmd_flush 3
<...
< END
