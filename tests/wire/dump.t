# Contract 1.5: lru_crawler metadump and mgdump; 1.8: stats sizes.  That they come in slices, and what
# others may do meanwhile, is tested in tests/unit/session/test_run_dump.c and tests/e2e/test_dump.py.

case nothing may stand before a dump in one receive
nosplit
> version
> lru_crawler metadump all
> set a 0 0 1 noreply
> x
> lru_crawler mgdump foo
> mn
< VERSION \*
< ERROR cannot pipeline other commands before metadump
< ERROR cannot pipeline other commands before mgdump
< MN

case what comes behind a dump is answered behind it
> lru_crawler mgdump all
> version
> get a
< OK
< EN
< VERSION \*
< END

# Below, each command has a turn of its own, wherever receives end.
server -R 1
case an empty cache
> lru_crawler metadump all
< OK
< END
> lru_crawler metadump hash
< OK
< END
> lru_crawler metadump 1,2,3
< OK
< END
> lru_crawler mgdump all
< OK
< EN
> lru_crawler mgdump hash
< OK
< EN

case what a line of metadump tells
process
> set k%#/~ 77 100 3
> abc
< STORED
> lru_crawler metadump all
< OK
<< key=k%25%23%2F~ exp=1700000100 la=1700000000 cas=2 fetch=no cls=2 size=32 flags=77\s\n
< END
tick 5
> get k%#/~
< VALUE k%#/~ 77 3
< abc
< END
> lru_crawler metadump hash
< OK
<< key=k%25%23%2F~ exp=1700000100 la=1700000005 cas=2 fetch=yes cls=2 size=32 flags=77\s\n
< END
> touch k%#/~ 0
< TOUCHED
> lru_crawler metadump 2
< OK
<< key=k%25%23%2F~ exp=-1 la=1700000005 cas=2 fetch=yes cls=2 size=32 flags=77\s\n
< END
> lru_crawler metadump 1,3
< OK
< END

case over a socket
socket
> set abc 0 0 3
> abc
< STORED
> lru_crawler metadump all
< OK
<< key=abc exp=-1 la=\* cas=\* fetch=no cls=\* size=\* flags=0\s\n
< END
> lru_crawler mgdump all
< OK
< mg abc
< EN

case binary keys
> ms YS9iIGM= 1 b
> x
< HD
> lru_crawler mgdump all
< OK
< mg YS9iIGM= b
< EN
> mg YS9iIGM= b v
< VA 1
< x
> lru_crawler metadump all
< OK
<< key=a%2Fb%20c exp=-1 la=\* cas=\* fetch=yes cls=\* size=\* flags=0\s\n
< END

case the longest key
> set \{250:#} 0 0 1
> x
< STORED
> lru_crawler metadump all
< OK
<< key=\{250:%23} exp=-1 la=\* cas=\* fetch=no cls=\* size=\* flags=0\s\n
< END
> lru_crawler mgdump all
< OK
< mg \{250:#}
< EN

case the dead are not told of
> set a 0 -1 1
> x
> set b 0 0 1
> x
> flush_all
> set c 0 0 1
> x
< STORED
< STORED
< OK
< STORED
> lru_crawler mgdump all
< OK
< mg c
< EN

case a long value
> set long 0 0 300000
> \{300000:x}
< STORED
> lru_crawler metadump all
< OK
<< key=long exp=-1 la=\* cas=\* fetch=no cls=\* size=300024 flags=0\s\n
< END

case which classes
> lru_crawler metadump
> lru_crawler metadump all x
> lru_crawler mgdump
> lru_crawler mgdump all x
> mn
< ERROR
< ERROR
< ERROR
< ERROR
< MN
> lru_crawler metadump x
< BADCLASS invalid class id
> lru_crawler metadump 0
< BADCLASS invalid class id
> lru_crawler metadump 1,200
< BADCLASS invalid class id
> lru_crawler metadump 1x
< BADCLASS invalid class id
> lru_crawler metadump -1
< BADCLASS invalid class id
> lru_crawler metadump ,
< NOTSTARTED no items to crawl
> lru_crawler metadump 63
< OK
< END
> lru_crawler mgdump x
< BADCLASS invalid class id

case a dump without a reply is none
> lru_crawler metadump all noreply
> lru_crawler mgdump x noreply
> mn
< MN

case starts are counted
process
> lru_crawler metadump all
< OK
< END
> lru_crawler mgdump all
< OK
< EN
> stats
<...
< STAT lru_crawler_running 0
< STAT lru_crawler_starts 2
<...
< END

server -X
case dumps are not allowed
> lru_crawler metadump all
> lru_crawler metadump foo
> lru_crawler mgdump all
> lru_crawler metadump
> lru_crawler metadump all noreply
> lru_crawler sleep 100
< ERROR metadump not allowed
< ERROR metadump not allowed
< ERROR key dump not allowed
< ERROR
< OK

server -o track_sizes
case sizes
> stats sizes
> set a 0 0 43
> \{43:x}
> set b 0 0 44
> \{44:x}
> set c 1 0 300000
> \{300000:x}
> stats sizes
> stats sizes foo
> delete b
> set c 1 0 44
> \{44:x}
> stats sizes
> flush_all
> mn
< END
< STORED
< STORED
< STORED
< STAT 64 1
< STAT 96 1
< STAT 300032 1
< END
< STAT 64 1
< STAT 96 1
< STAT 300032 1
< END
< DELETED
< STORED
< STAT 64 1
< STAT 96 1
< END
< OK
< MN

case sizes of the binary protocol
>b 01 key=a ext=\0\0\0\0\0\0\0\0 value=\{43:x}
>b 10 key=sizes
<b 01 cas=*
<b 10 key=64 value=1
<b 10
