# Contract 1.7: the meta commands.

case a set is read back
> ms foo 5
> hello
> mg foo v
> mg foo
> mg foo s v
> mg none v
> mn
< HD
< VA 5
< hello
< HD
< VA 5 s5
< hello
< EN
< MN

case flags come back in the order of the request
> ms foo 2 F7 T100 c
> hi
> mg foo t f s k O12 v
> mg foo O12 k s f t v
> mg none k Oabc t
< HD c2
< VA 2 t100 f7 s2 kfoo O12
< hi
< VA 2 O12 kfoo s2 f7 t100
< hi
< EN knone Oabc

case h, l and t tell what was before
> ms foo 2
> hi
> mg foo u h l t
> mg foo h l
> mg foo h
< HD
< HD h0 l0 t-1
< HD h0 l0
< HD h1
tick 7
> mg foo l h
> mg foo l
< HD l7 h1
< HD l0

case q hides a miss, and a stored item
> mg none q v
> ms foo 1 q
> 1
> mg foo q v
> md none q
> md foo q
> mg foo q
> mn
< VA 1
< 1
< NF
< MN

case a key in base64
> ms Zm9v 3 b k
> bar
> get foo
> mg foo k v
> mg Zm9v b k
> mg Z b
< HD kZm9v b
< VALUE foo 0 3
< bar
< END
< VA 3 kZm9v b
< bar
< HD kZm9v b
<...

case modes of ms
> ms foo 1 ME
> 1
> ms foo 1 ME
> 2
> ms foo 1 MA
> 3
> ms foo 1 MP s
> 0
> ms foo 1 MR
> 9
> ms bar 1 MR
> 9
> ms bar 1 MA
> 9
> ms bar 2 MA N0
> ab
> ms bar 1 Mx
> 9
> mg foo v
> mg bar v
< HD
< NS
< HD
< HD s3
< HD
< NS
< NS
< HD
< CLIENT_ERROR invalid mode for ms M token
< VA 1
< 9
< VA 2
< ab

case compare and swap
> ms foo 1 c
> 1
> ms foo 1 C1
> 2
> ms foo 1 C2 c
> 2
> ms none 1 C2
> 2
> md foo C2
> md foo C3
> mg foo
< HD c2
< EX
< HD c3
< NF
< EX
< HD
< EN

case an id of the client's own
> ms foo 1 E100 c
> 1
> mg foo c
> ma foo E200 c v
> mg foo c C200 v
< HD c100
< HD c100
< VA 1 c200
< 2
< HD c200

case the first reader of a missing key wins it
> mg foo N30 s v t
> mg foo N30 s v
> ms foo 3
> new
> mg foo N30 v
< VA 0 s0 t30 W
< 
< VA 0 s0 Z
< 
< HD
< VA 3
< new

case the first to see it run out wins
> ms foo 1 T100
> 1
> mg foo R30
< HD
< HD
tick 80
> mg foo R30
> mg foo R30
> mg foo
< HD W
< HD Z
< HD Z

case a stale item is told to all, and one makes it anew
> ms foo 1 c
> 1
> md foo I T30
> mg foo v t c
> mg foo v
> ms foo 1 C2 I
> 2
> mg foo v
> ms foo 1
> 3
> mg foo v
< HD c2
< HD
< VA 1 t30 c3 X W
< 1
< VA 1 Z X
< 1
< HD
< VA 1 Z X
< 2
< HD
< VA 1
< 3

case a tombstone
> ms foo 5 F9 T100
> hello
> md foo x
> mg foo s f t v
> md foo x I
> mg foo s
< HD
< HD
< VA 0 s0 f0 t-1
< 
< HD
< HD s0 X W

case numbers
> ma num
> ma num N0 J13 v
> ma num v
> ma num D30 v
> ma num MD D3 v
> ma num M- D100 v
> ma num M+ q
> ma num Mx
> ma num t c v
> ms num 1
> x
> ma num
< NF
< VA 2
< 13
< VA 2
< 14
< VA 2
< 44
< VA 2
< 41
< VA 1
< 0
< CLIENT_ERROR invalid mode for ma M token
< VA 1 t-1 c8
< 2
< HD
< CLIENT_ERROR cannot increment or decrement non-numeric value

case errors
> mg
> mg \{251:k}
> mg foo v v
> mg foo !
> ms foo
> ms foo x
> ms foo 2 Tx
> hi
> mg foo O\{32:o}
> ms foo S2
> mn
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR duplicate flag
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
<...
< MN

case a data block of another length
> ms foo 2
> abcdefg
> mn
< CLIENT_ERROR bad data chunk
< ERROR
< MN

case meta and classic commands in one pipeline
> set foo 0 0 1
> 1
> mg foo v
> get foo
> mg foo v
> mg foo s
> get foo
< STORED
< VA 1
< 1
< VALUE foo 0 1
< 1
< END
< VA 1
< 1
< HD s1
< VALUE foo 0 1
< 1
< END

case a long value in both directions
> ms foo 300000 k Oxyz
> \{300000:v}
> mg foo s v
> mg foo s
< HD kfoo Oxyz
< VA 300000 s300000
< \{300000:v}
< HD s300000

case more reads than a batch takes
> ms foo 1
> 1
>> \{70:mg foo v\r\n}
< HD
<< \{70:VA 1\r\n1\r\n}

case me
> ms foo 5 T100
> hello
> me foo
> me none
< HD
< ME foo exp=100 la=0 cas=2 fetch=no cls=\* size=28
< EN

server -C
case without ids
> ms foo 1 c
> 1
> mg foo c
< HD c0
< HD c0
