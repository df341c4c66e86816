# Contract 1.5: slabs, lru, and what lru_crawler sets.  Words are whole (0.f), the last may be noreply.

case slabs alone and with unknown words
> slabs
> slabs foo
> slabs foo bar
> slabs automov 1
> slabs reassig 1 2
> slabs AUTOMOVE 1
> slabs foo noreply
> mn
< ERROR
< ERROR
< ERROR
< ERROR
< ERROR
< ERROR
< MN

case slabs reassign: counts and numbers
> slabs reassign
> slabs reassign 1
> slabs reassign 1 2 3
> slabs reassign a b
> slabs reassign 1 b
> slabs reassign 1- 2
> slabs reassign - 2
> slabs reassign a b noreply
> mn
< ERROR
< ERROR
< ERROR
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< MN

case slabs reassign: classes
> slabs reassign 1 1
> slabs reassign 0 0
> slabs reassign -1 -1
> slabs reassign 999 999
> slabs reassign -2 1
> slabs reassign 1 -1
> slabs reassign 200 1
> slabs reassign 1 200
> slabs reassign 99999999999 1
> slabs reassign 1 99999999999999999999999
> slabs reassign 256 1
> slabs reassign -1 1
> slabs reassign -1 0
> slabs reassign 1 2
> slabs reassign +1 2
> slabs reassign 1 0
< SAME src and dst class are identical
< SAME src and dst class are identical
< SAME src and dst class are identical
< SAME src and dst class are identical
< BADCLASS invalid src or dst class id
< BADCLASS invalid src or dst class id
< BADCLASS invalid src or dst class id
< BADCLASS invalid src or dst class id
< BADCLASS invalid src or dst class id
< BADCLASS invalid src or dst class id
< BADCLASS invalid src or dst class id
< BADCLASS invalid src or dst class id
< BADCLASS invalid src or dst class id
< NOSPARE source class has no spare pages
< NOSPARE source class has no spare pages
< NOSPARE source class has no spare pages

case slabs reassign moves one page at a time
process
> set a 0 0 65000
> \{65000:x}
> set b 0 0 65000
> \{65000:x}
> slabs reassign -1 1
> slabs reassign -1 1
> slabs reassign -1 1 noreply
> stats
< STORED
< STORED
< OK
< BUSY currently processing reassign request
<...
< STAT slab_reassign_running 1
<...
< END

case slabs reassign gives a page that no class has
> slabs reassign 0 3
> stats slabs
> stats
< OK
< STAT 3:chunk_size \*
<...
< STAT 3:total_pages 1
<...
< STAT slabs_moved 1
<...
< END

case slabs automove
> slabs automove
> slabs automove 0
> slabs automove 1
> slabs automove 2
> slabs automove 3
> slabs automove 99999999999
> slabs automove -1
> slabs automove a
> slabs automove 1 foo bar
> slabs automove 0 noreply
> slabs automove a noreply
> stats settings
< ERROR
< OK
< OK
< OK
< ERROR
< ERROR
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< OK
<...
< STAT slab_automove 0
<...
< END

case slabs automove ratio, freeratio, window
> slabs automove ratio
> slabs automove ratio abc
> slabs automove ratio 0.5abc
> slabs automove ratio nan
> slabs automove ratio inf
> slabs automove ratio 0
> slabs automove ratio -1
> slabs automove ratio 1.5
> slabs automove freeratio
> slabs automove freeratio x
> slabs automove freeratio 0.02
> slabs automove window
> slabs automove window x
> slabs automove window 2
> slabs automove window 1801
> slabs automove window 3
> slabs automove window 1800
> slabs automove window 30 noreply
> slabs automove ratio 0.25 noreply
> stats settings
< ERROR
< ERROR
< ERROR
< ERROR
< ERROR
< OK
< OK
< OK
< ERROR
< ERROR
< OK
< ERROR
< CLIENT_ERROR bad command line format
< CLIENT_ERROR automove window too low or too high
< CLIENT_ERROR automove window too low or too high
< OK
< OK
<...
< STAT slab_automove_ratio 0.25
< STAT slab_automove_window 30
<...
< END

case lru alone and with unknown words
> lru
> lru foo
> lru foo bar
> lru tun 10 20 0.1 2
> lru noreply
> mn
< ERROR
< ERROR
< ERROR
< ERROR
< MN

case lru tune
> lru tune
> lru tune 10 20 0.1
> lru tune a 20 0.1 2
> lru tune 10 b 0.1 2
> lru tune 10 20 a 2
> lru tune 10 20 0.1 b
> lru tune -5 20 0.1 2
> lru tune 41 40 0.1 2
> lru tune 99 20 0 0
> lru tune 4294967295 4294967295 1 1
> lru tune 10 20 0 2
> lru tune 10 20 0.1 0
> lru tune 10 20 -1 2
> lru tune 0 0 0.1 2
> lru tune 40 40 0.1 2
> lru tune 10 20 0.1 2 5
> lru tune 11 22 0.33 4.4 noreply
> stats settings
< ERROR
< ERROR
< ERROR
< ERROR
< ERROR
< ERROR
< ERROR
< ERROR hot and warm pcts must not exceed 80
< ERROR hot and warm pcts must not exceed 80
< ERROR hot and warm pcts must not exceed 80
< ERROR hot/warm age factors must be greater than 0
< ERROR hot/warm age factors must be greater than 0
< ERROR hot/warm age factors must be greater than 0
< OK
< OK
< OK
<...
< STAT hot_lru_pct 11
< STAT warm_lru_pct 22
< STAT hot_max_factor 0.33
< STAT warm_max_factor 4.40
<...
< END

case lru mode
> lru mode
> lru mode foo
> lru mode fla
> lru mode segmented
> lru mode flat x y
> stats settings
< ERROR
< ERROR
< ERROR
< OK
< OK
<...
< STAT lru_segmented no
<...
< END

case lru temp_ttl
> lru temp_ttl
> lru temp_ttl a
> lru temp_ttl -
> lru temp_ttl 0
> lru temp_ttl 99999999999
> lru temp_ttl 7 7
> stats settings
> lru temp_ttl -1
> stats settings
< ERROR
< ERROR
< ERROR
< OK
< OK
< OK
<...
< STAT temp_lru yes
< STAT temporary_ttl 7
<...
< END
< OK
<...
< STAT temp_lru no
<...
< END

case lru_crawler alone and with unknown words
> lru_crawler
> lru_crawler foo
> lru_crawler foo bar
> lru_crawler enable x
> lru_crawler enable x y
> lru_crawler disable junk
> lru_crawler enabl
> lru_crawler noreply
> mn
< ERROR
< ERROR
< ERROR
< ERROR
< ERROR
< ERROR
< ERROR
< MN

case lru_crawler enable and disable
> lru_crawler enable
> lru_crawler disable
> lru_crawler disable
> lru_crawler crawl all
> lru_crawler crawl foo
> lru_crawler metadump all
> lru_crawler metadump foo
> lru_crawler mgdump all
> stats settings
> lru_crawler enable
> lru_crawler disable noreply
> lru_crawler enable noreply
> lru_crawler enable
> stats settings
< ERROR failed to start lru crawler thread
< OK
< OK
< CLIENT_ERROR lru crawler disabled
< CLIENT_ERROR lru crawler disabled
< CLIENT_ERROR lru crawler disabled
< CLIENT_ERROR lru crawler disabled
< CLIENT_ERROR lru crawler disabled
<...
< STAT lru_crawler no
<...
< END
< OK
< ERROR failed to start lru crawler thread
<...
< STAT lru_crawler yes
<...
< END

case lru_crawler sleep and tocrawl
> lru_crawler sleep
> lru_crawler sleep a
> lru_crawler sleep -1
> lru_crawler sleep 1000001
> lru_crawler sleep 99999999999
> lru_crawler sleep 100 7
> lru_crawler sleep 0
> lru_crawler sleep 1000000
> lru_crawler sleep 200 noreply
> lru_crawler tocrawl
> lru_crawler tocrawl a
> lru_crawler tocrawl -1
> lru_crawler tocrawl 5 7
> lru_crawler tocrawl 0
> lru_crawler tocrawl 99999999999
> stats settings
> lru_crawler tocrawl 5 noreply
> stats settings
< ERROR
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR sleep must be one second or less
< CLIENT_ERROR sleep must be one second or less
< ERROR
< OK
< OK
< ERROR
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< ERROR
< OK
< OK
<...
< STAT lru_crawler_sleep 200
< STAT lru_crawler_tocrawl 4294967295
<...
< END
<...
< STAT lru_crawler_tocrawl 5
<...
< END

case lru_crawler crawl: classes
process
> lru_crawler crawl
> lru_crawler crawl all x
> lru_crawler crawl x
> lru_crawler crawl al
> lru_crawler crawl 1,2,x
> lru_crawler crawl 1x
> lru_crawler crawl 0
> lru_crawler crawl -1
> lru_crawler crawl 127
> lru_crawler crawl 128
> lru_crawler crawl 99999999999
> lru_crawler crawl ,
> lru_crawler crawl hash
> lru_crawler crawl 1,,63,
> lru_crawler crawl 1
> lru_crawler crawl x
> lru_crawler crawl all noreply
> stats
< ERROR
< ERROR
< BADCLASS invalid class id
< BADCLASS invalid class id
< BADCLASS invalid class id
< BADCLASS invalid class id
< BADCLASS invalid class id
< BADCLASS invalid class id
< BADCLASS invalid class id
< BADCLASS invalid class id
< BADCLASS invalid class id
< NOTSTARTED no items to crawl
< ERROR an unknown error happened
< OK
< BUSY currently processing crawler request
< BADCLASS invalid class id
<...
< STAT lru_crawler_running 1
<...
< END

server -R 1
case no dump while a crawl is going on
process
> lru_crawler crawl all
< OK
> lru_crawler metadump all
< BUSY currently processing crawler request

server -o no_slab_reassign
case slabs reassign is off
> slabs reassign 1 2
> slabs reassign a 2
> slabs reassign 1
> slabs automove 2
> slabs automove 1
< CLIENT_ERROR slab reassignment disabled
< CLIENT_ERROR slab reassignment disabled
< ERROR
< OK
< OK

server -o no_lru_maintainer
case lru without the maintainer
> lru mode flat
> lru mode segmented
> lru temp_ttl 5
> lru temp_ttl -1
> lru tune 10 20 0.1 2
< ERROR
< ERROR
< ERROR
< ERROR
< OK

server -o no_lru_crawler
case the crawler is off and can be started
> lru_crawler crawl all
> lru_crawler sleep 5
> lru_crawler enable
> lru_crawler enable
< CLIENT_ERROR lru crawler disabled
< OK
< OK
< ERROR failed to start lru crawler thread
