# Contract 1.2: set add replace append prepend cas.

case set and get
> set a 0 0 5
> hello
> get a
< STORED
< VALUE a 0 5
< hello
< END

case add stores once
> add a 1 0 1
> x
> add a 2 0 1
> y
> get a
< STORED
< NOT_STORED
< VALUE a 1 1
< x
< END

case replace needs an item
> replace a 1 0 1
> x
> get a
> set a 1 0 1
> y
> replace a 2 0 2
> zz
> get a
< NOT_STORED
< END
< STORED
< STORED
< VALUE a 2 2
< zz
< END

case append and prepend keep flags
> append a 9 0 1
> x
> prepend a 9 0 1
> x
> set a 5 0 3
> bcd
> append a 9 0 2
> ef
> prepend a 9 0 1
> a
> get a
> append a 0 0 0
>> \r\n
> get a
< NOT_STORED
< NOT_STORED
< STORED
< STORED
< STORED
< VALUE a 5 6
< abcdef
< END
< STORED
< VALUE a 5 6
< abcdef
< END

case append and prepend keep the expiry
> set a 0 10 1
> b
> append a 0 100 1
> c
> prepend a 0 0 1
> a
< STORED
< STORED
< STORED
tick 9
> get a
< VALUE a 0 3
< abc
< END
tick 1
> get a
< END

case append and prepend make a new CAS id
> set a 0 0 1
> b
> gets a
< STORED
< VALUE a 0 1 \<one>
< b
< END
> append a 0 0 1
> c
> cas a 0 0 1 \<one>
> x
> gets a
< STORED
< EXISTS
< VALUE a 0 2 \<two>
< bc
< END
> prepend a 0 0 1
> a
> cas a 0 0 1 \<two>
> x
< STORED
< EXISTS

case cas on the id that is
> set a 0 0 1
> x
> gets a
< STORED
< VALUE a 0 1 \<id>
< x
< END
> cas a 3 0 2 \<id>
> yz
> get a
> cas a 3 0 2 \<id>
> no
> get a
< STORED
< VALUE a 3 2
< yz
< END
< EXISTS
< VALUE a 3 2
< yz
< END

case cas of a missing key
> cas a 0 0 1 1
> x
> get a
< NOT_FOUND
< END

case cas 0 on an item
> set a 0 0 1
> x
> cas a 0 0 1 0
> y
> cas b 0 0 1 0
> y
< STORED
< EXISTS
< NOT_FOUND

case cas ids of 64 bits
> set a 0 0 1
> x
> cas a 0 0 1 18446744073709551615
> y
> cas a 0 0 1 18446744073709551616
> y
> mn
< STORED
< EXISTS
< CLIENT_ERROR bad command line format
< MN

case touch and gat do not change the CAS id
> set a 0 0 1
> x
> gets a
< STORED
< VALUE a 0 1 \<id>
< x
< END
> touch a 0
> gat 0 a
> cas a 0 0 1 \<id>
> y
< TOUCHED
< VALUE a 0 1
< x
< END
< STORED

case CAS ids are never 0 and differ
> set a 0 0 1
> x
> set b 0 0 1
> x
> gets a
< STORED
< STORED
< VALUE a 0 1 \<id>
< x
< END
> cas b 0 0 1 \<id>
> y
< EXISTS

case flags of 32 bits
> set a 2147483648 0 1
> x
> set b 4294967295 0 1
> x
> set c 4294967296 0 1
> x
> set d +5 0 1
> x
> set e 007 0 1
> x
> get a b c d e
< STORED
< STORED
< STORED
< STORED
< STORED
< VALUE a 2147483648 1
< x
< VALUE b 4294967295 1
< x
< VALUE c 0 1
< x
< VALUE d 5 1
< x
< VALUE e 7 1
< x
< END

case bad flags swallow the data block
> set a -1 0 5
> get b
> set a x 0 5
> quit!
> mn
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< MN

case a bad exptime swallows the data block
> set a 0 x 7
> version
> add a 0 1x 7
> version
> mn
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< MN

case exptime with a sign
> set a 0 +100 1
> x
> set b 0 -1 1
> x
> get a b
< STORED
< STORED
< VALUE a 0 1
< x
< END

case a bad cas unique swallows the data block
> cas a 0 0 7 x
> version
> cas a 0 0 7 -1
> version
> mn
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< MN

case a key of 250 bytes is the longest
> set \{250:k} 0 0 1
> x
> set \{251:k} 0 0 7
> version
> get \{250:k}
> mn
< STORED
< CLIENT_ERROR bad command line format
< VALUE \{250:k} 0 1
< x
< END
< MN

case a key too long in each storage command
> add \{251:k} 0 0 7
> version
> replace \{251:k} 0 0 7
> version
> append \{251:k} 0 0 7
> version
> prepend \{251:k} 0 0 7
> version
> cas \{251:k} 0 0 7 1
> version
> mn
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< MN

case bad bytes do not swallow
> set a 0 0 -1
> set a 0 0 4294967295
> set a 0 0 2147483646
> set a 0 0 2147483647
> set a 0 0 +2
> set a 0 0 x
> set a 0 0 99999999999999999999999
> set a 0 0 2x
> mn
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< MN

case after bad bytes the data block is a command
> set a 0 0 x
> hello
> mn
< CLIENT_ERROR bad command line format
< ERROR
< MN

case missing words
> set
> set a
> set a 0
> set a 0 0
> cas a 0 0 1
> add a 0 0
> replace
> append a
> prepend a 0
> mn
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< MN

case further words are ignored
> set a 0 0 2 extra
> ab
> set b 0 0 2 extra more
> cd
> get a b
< STORED
< STORED
< VALUE a 0 2
< ab
< VALUE b 0 2
< cd
< END

case an empty value
> set a 3 0 0
>> \r\n
> get a
< STORED
< VALUE a 3 0
<< \r\n
< END

case values are binary safe
> set a 0 0 12
>> \0\r\n\xff get a\r\n\r\n
> get a
< STORED
< VALUE a 0 12
<< \0\r\n\xff get a\r\n\r\n
< END

case a value that looks like an end
> set a 0 0 8
> x\r\nEND\r\n
> get a
< STORED
< VALUE a 0 8
< x\r\nEND\r\n
< END

case a data block must end in CR LF
> set a 0 0 2
>> abcdget a\r\n
> mn
< CLIENT_ERROR bad data chunk
< END
< MN

case a bare LF behind the data is bad
> set a 0 0 2
>> ab\nxget a\r\n
< CLIENT_ERROR bad data chunk
< END

case a data block too long leaves its rest as a command
> set a 0 0 2
> abcXX
> set a 0 0 1
> abcdefgh
> get a
< CLIENT_ERROR bad data chunk
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad data chunk
< ERROR
< END

case a data block too short takes the next line with it
> set a 0 0 5
> ab
> get a
> mn
< CLIENT_ERROR bad data chunk
< ERROR
< MN

case bad data leaves the older value
> set a 0 0 3
> old
> set a 0 0 3
>> newXXget a\r\n
< STORED
< CLIENT_ERROR bad data chunk
< VALUE a 0 3
< old
< END

case too large for the item size
> set a 0 0 2000000
> \{2000000:x}
> mn
< SERVER_ERROR object too large for cache
< MN

case a set too large takes the older value with it
> set a 0 0 3
> old
> set a 0 0 2000000
> \{2000000:x}
> get a
< STORED
< SERVER_ERROR object too large for cache
< END

case others too large leave the older value
> set a 0 0 3
> old
> add a 0 0 2000000
> \{2000000:x}
> replace a 0 0 2000000
> \{2000000:x}
> append a 0 0 2000000
> \{2000000:x}
> prepend a 0 0 2000000
> \{2000000:x}
> cas a 0 0 2000000 1
> \{2000000:x}
> get a
< STORED
< SERVER_ERROR object too large for cache
< SERVER_ERROR object too large for cache
< SERVER_ERROR object too large for cache
< SERVER_ERROR object too large for cache
< SERVER_ERROR object too large for cache
< VALUE a 0 3
< old
< END

case a block too large is swallowed whatever follows it
> set a 0 0 2000000
>> \{2000000:x}XXmn\r\n
< SERVER_ERROR object too large for cache
< MN

case 1048576 bytes do not fit, 1048000 do
> set a 0 0 1048576
> \{1048576:x}
> set b 0 0 1048000
> \{1048000:y}
> get a b
< SERVER_ERROR object too large for cache
< STORED
< VALUE b 0 1048000
< \{1048000:y}
< END

case the longest length that is waited for
process
>> set a 0 0 2147483645\r\nabc
< SERVER_ERROR object too large for cache

case appending beyond the item size is not stored
> set a 1 0 1000000
> \{1000000:x}
> append a 0 0 100000
> \{100000:y}
> prepend a 0 0 100000
> \{100000:y}
> get a
< STORED
< NOT_STORED
< NOT_STORED
< VALUE a 1 1000000
< \{1000000:x}
< END

case noreply
> set a 0 0 1 noreply
> x
> add a 0 0 1 noreply
> y
> replace a 0 0 1 noreply
> z
> append a 0 0 1 noreply
> 1
> prepend a 0 0 1 noreply
> 2
> cas a 0 0 1 1 noreply
> q
> cas b 0 0 1 1 noreply
> q
> replace b 0 0 1 noreply
> q
> get a b
< VALUE a 0 3
< 2z1
< END

case noreply keeps errors silent that come behind it
> set a 0 0 2 noreply
>> abXXset a x 0 7 noreply\r\nversion\r\n
> set \{251:k} 0 0 7 noreply
> version
> set a 0 0 2000000 noreply
> \{2000000:x}
> cas a 0 0 7 x noreply
> version
> mn
< MN

case noreply does not keep errors silent that come before it
> set a 0 0 noreply
> set a 0 0 x noreply
> set a 0 0 -1 noreply
> set noreply
> mn
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< MN

case noreply is the last word whatever stands between
> set a 0 0 1 junk noreply
> x
> set b 0 0 1 noreply junk
> x
> mn
< STORED
< MN

case noreply is exact
> set a 0 0 1 noreplyx
> x
> set a 0 0 1 NOREPLY
> x
< STORED
< STORED

server -C
case without CAS ids
> set a 0 0 1
> x
> gets a
> cas a 0 0 1 0
> y
> cas a 0 0 1 5
> y
> cas b 0 0 1 5
> y
> get a
< STORED
< VALUE a 0 1 0
< x
< END
< EXISTS
< EXISTS
< NOT_FOUND
< VALUE a 0 1
< x
< END

server -I 2k -o slab_chunk_max=1
case a smaller item size
> set a 0 0 2048
> \{2048:x}
> set a 0 0 1900
> \{1900:x}
> get a
< SERVER_ERROR object too large for cache
< STORED
< VALUE a 0 1900
< \{1900:x}
< END

server -M -m 2 -I 512k
case without evictions a full cache refuses, and set drops the older value
> set a 0 0 1
> x
> set b 0 0 450000
> \{450000:x}
> set c 0 0 450000
> \{450000:x}
> set d 0 0 450000
> \{450000:x}
> set e 0 0 450000
> \{450000:x}
> add a 0 0 450000
> \{450000:x}
> get a
< STORED
<...
<< ut of memory
<...
< VALUE a 0 1
< x
< END
> set a 0 0 450000 noreply
> \{450000:x}
> get a
< END

case long values one behind another, of every form, and commands between them
>> set a 0 0 40000\r\n\{4000:0123456789}\r\nget a\r\nms b 50000\r\n\{5000:abcdefghij}\r\nmg b s\r\n
>> set c 0 0 100000 noreply\r\n\{10000:ABCDEFGHIJ}\r\nset d 0 0 1\r\nd\r\nget d c\r\n
< STORED
< VALUE a 0 40000
< \{4000:0123456789}
< END
< HD
< HD s50000
< STORED
< VALUE d 0 1
< d
< VALUE c 0 100000
< \{10000:ABCDEFGHIJ}
< END

case wrong ends of long values take nothing of what is behind them
>> set a 0 0 40000\r\n\{4000:0123456789}XXget a\r\nset a 0 0 40000\r\n\{4000:0123456789}\r\n
>> ms a 40000\r\n\{4000:abcdefghij}\nYmn\r\nset a 0 0 70000 noreply\r\n\{7000:ABCDEFGHIJ}\rZmg a s\r\n
< CLIENT_ERROR bad data chunk
< END
< STORED
< CLIENT_ERROR bad data chunk
< MN
< HD s40000

case long values in a row, and then many short commands
>> \{3:set a 0 0 40000\r\n\{4000:0123456789}\r\n}\{1200:mn\r\n}
>> set a 0 0 40001\r\n\{4000:0123456789}x\r\n\{1200:mn\r\n}get a\r\n
<< \{3:STORED\r\n}\{1200:MN\r\n}STORED\r\n\{1200:MN\r\n}VALUE a 0 40001\r\n\{4000:0123456789}x\r\nEND\r\n
