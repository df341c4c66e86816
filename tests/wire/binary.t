# Contract 1.9: each opcode, its quiet form, what closes.  A noop at the end of a case shows that
# quiet requests say nothing.

case noop, version, quit
>b 0a opaque=0xdeadbeef
>b 0b opaque=2
>b 07 opaque=3
>b 0a
<b 0a opaque=0xdeadbeef
<b 0b opaque=2 value=1.6.45
<b 07 opaque=3
close

case quit, quiet
>b 0a
>b 17
>b 0a
<b 0a
close

case data type and vbucket are ignored
>> \x80\x0a\0\0\0\x07\x12\x34\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\0
<b 0a opaque=9

case set and get
>b 01 opaque=1 ext=\x12\x34\x56\x78\0\0\0\0 key=a value=hello
>b 00 opaque=2 key=a
>b 0c opaque=3 key=a
>b 01 ext=\0\0\0\0\0\0\0\0 key=a
>b 00 key=a
<b 01 opaque=1 cas=2
<b 00 opaque=2 cas=2 ext=\x12\x34\x56\x78 value=hello
<b 0c opaque=3 cas=2 ext=\x12\x34\x56\x78 key=a value=hello
<b 01 cas=3
<b 00 cas=3 ext=\0\0\0\0

case misses: loud, with the key, quiet
>b 00 opaque=1 key=no
>b 0c opaque=2 key=no
>b 09 opaque=3 key=no
>b 0d opaque=4 key=no
>b 0a
<b 00 opaque=1 status=1 value=Not\sfound
<b 0c opaque=2 status=1 key=no
<b 0a

case quiet gets are answered by their own opcode
>b 11 ext=\0\0\0\x05\0\0\0\0 key=a value=x
>b 09 opaque=1 key=a
>b 0d opaque=2 key=a
>b 0a
<b 09 opaque=1 cas=2 ext=\0\0\0\x05 value=x
<b 0d opaque=2 cas=2 ext=\0\0\0\x05 key=a value=x
<b 0a

case keys of any bytes, up to the longest
>b 11 ext=\0\0\0\0\0\0\0\0 key=\0\r\n\s\xff value=\r\n\0
>b 11 ext=\0\0\0\0\0\0\0\0 key=\{250:k} value=y
>b 0c key=\0\r\n\s\xff
>b 0c key=\{250:k}
>b 0c key=\{249:k}m
<b 0c cas=2 ext=\0\0\0\0 key=\0\r\n\s\xff value=\r\n\0
<b 0c cas=3 ext=\0\0\0\0 key=\{250:k} value=y
<b 0c status=1 key=\{249:k}m

case add and replace
>b 03 ext=\0\0\0\0\0\0\0\0 key=a value=0
>b 02 ext=\0\0\0\0\0\0\0\0 key=a value=1
>b 02 ext=\0\0\0\0\0\0\0\0 key=a value=2
>b 03 ext=\0\0\0\0\0\0\0\0 key=a value=3
>b 00 key=a
<b 03 status=1 value=Not\sfound
<b 02 cas=2
<b 02 status=2 value=Data\sexists\sfor\skey.
<b 03 cas=3
<b 00 cas=3 ext=\0\0\0\0 value=3

case quiet stores tell of errors alone
>b 13 opaque=1 ext=\0\0\0\0\0\0\0\0 key=a value=0
>b 12 opaque=2 ext=\0\0\0\0\0\0\0\0 key=a value=1
>b 12 opaque=3 ext=\0\0\0\0\0\0\0\0 key=a value=2
>b 13 opaque=4 ext=\0\0\0\0\0\0\0\0 key=a value=3
>b 11 opaque=5 ext=\0\0\0\0\0\0\0\0 key=a value=4
>b 19 opaque=6 key=a value=5
>b 1a opaque=7 key=a value=6
>b 19 opaque=8 key=no value=5
>b 1a opaque=9 key=no value=5
>b 00 key=a
<b 13 opaque=1 status=1 value=Not\sfound
<b 12 opaque=3 status=2 value=Data\sexists\sfor\skey.
<b 19 opaque=8 status=5 value=Not\sstored.
<b 1a opaque=9 status=5 value=Not\sstored.
<b 00 cas=* ext=\0\0\0\0 value=645

case a CAS id makes set, add and replace a cas
>b 01 cas=7 ext=\0\0\0\0\0\0\0\0 key=a value=0
>b 02 cas=7 ext=\0\0\0\0\0\0\0\0 key=a value=0
>b 03 cas=7 ext=\0\0\0\0\0\0\0\0 key=a value=0
>b 01 ext=\0\0\0\0\0\0\0\0 key=a value=1
>b 01 cas=7 ext=\0\0\0\0\0\0\0\0 key=a value=2
>b 02 cas=2 ext=\0\0\0\0\0\0\0\0 key=a value=3
>b 03 cas=3 ext=\0\0\0\0\0\0\0\0 key=a value=4
>b 11 cas=3 ext=\0\0\0\0\0\0\0\0 key=a value=5
>b 11 cas=4 ext=\0\0\0\0\0\0\0\0 key=a value=6
>b 00 key=a
<b 01 status=1 value=Not\sfound
<b 02 status=1 value=Not\sfound
<b 03 status=1 value=Not\sfound
<b 01 cas=2
<b 01 status=2 value=Data\sexists\sfor\skey.
<b 02 cas=3
<b 03 cas=4
<b 11 status=2 value=Data\sexists\sfor\skey.
<b 00 cas=5 ext=\0\0\0\0 value=6

case append and prepend
>b 0e key=a value=x
>b 0f key=a value=x
>b 01 ext=\0\0\0\x09\0\0\0\0 key=a value=m
>b 0e key=a value=z
>b 0f cas=3 key=a value=a
>b 0e cas=3 key=a value=!
>b 0f key=a
>b 00 key=a
<b 0e status=5 value=Not\sstored.
<b 0f status=5 value=Not\sstored.
<b 01 cas=2
<b 0e cas=3
<b 0f cas=4
<b 0e status=2 value=Data\sexists\sfor\skey.
<b 0f cas=5
<b 00 cas=5 ext=\0\0\0\x09 value=amz

case delete
>b 04 key=a
>b 14 opaque=1 key=a
>b 11 ext=\0\0\0\0\0\0\0\0 key=a value=m
>b 11 ext=\0\0\0\0\0\0\0\0 key=b value=m
>b 04 cas=9 key=a
>b 14 cas=9 key=a
>b 04 cas=2 key=a
>b 14 cas=3 key=b
>b 09 key=a
>b 09 key=b
>b 0a
<b 04 status=1 value=Not\sfound
<b 14 opaque=1 status=1 value=Not\sfound
<b 04 status=2 value=Data\sexists\sfor\skey.
<b 14 status=2 value=Data\sexists\sfor\skey.
<b 04
<b 0a

case incr and decr
>b 05 ext=\{7:\0}\x01\{7:\0}\x05\xff\xff\xff\xff key=n
>b 15 ext=\{7:\0}\x01\{7:\0}\x05\xff\xff\xff\xff key=n
>b 05 ext=\{7:\0}\x01\{7:\0}\x05\0\0\0\0 key=n
>b 05 ext=\{7:\0}\x01\{7:\0}\x05\0\0\0\0 key=n
>b 06 ext=\{7:\0}\x02\{7:\0}\x05\xff\xff\xff\xff key=n
>b 06 ext=\{7:\0}\x09\{7:\0}\x05\xff\xff\xff\xff key=n
>b 15 ext=\{8:\xff}\{8:\0}\xff\xff\xff\xff key=n
>b 16 ext=\{7:\0}\x0f\{8:\0}\xff\xff\xff\xff key=n
>b 00 key=n
<b 05 status=1 value=Not\sfound
<b 15 status=1 value=Not\sfound
<b 05 cas=2 value=\{7:\0}\x05
<b 05 cas=3 value=\{7:\0}\x06
<b 06 cas=4 value=\{7:\0}\x04
<b 06 cas=5 value=\{8:\0}
<b 00 cas=7 ext=\0\0\0\0 value=18446744073709551600

case incr of what is no number, and with a CAS id
>b 11 ext=\0\0\0\0\0\0\0\0 key=a value=x
>b 11 ext=\0\0\0\0\0\0\0\0 key=n value=7
>b 05 ext=\{7:\0}\x01\{12:\0} key=a
>b 16 ext=\{7:\0}\x01\{12:\0} key=a
>b 05 cas=2 ext=\{7:\0}\x01\{12:\0} key=n
>b 05 cas=3 ext=\{7:\0}\x01\{12:\0} key=n
>b 05 cas=3 ext=\{7:\0}\x01\{12:\0} key=new
<b 05 status=6 value=Non-numeric\sserver-side\svalue\sfor\sincr\sor\sdecr
<b 16 status=6 value=Non-numeric\sserver-side\svalue\sfor\sincr\sor\sdecr
<b 05 status=2 value=Data\sexists\sfor\skey.
<b 05 cas=* value=\{7:\0}\x08
<b 05 cas=* value=\{8:\0}

case touch and gat
>b 1c opaque=1 ext=\0\0\0\x09 key=a
>b 1d opaque=2 ext=\0\0\0\x09 key=a
>b 1e opaque=3 ext=\0\0\0\x09 key=a
>b 23 opaque=4 ext=\0\0\0\x09 key=a
>b 24 opaque=5 ext=\0\0\0\x09 key=a
>b 11 ext=\0\0\0\x07\0\0\0\0 key=a value=xyz
>b 1c ext=\0\0\0\x09 key=a
>b 1d ext=\0\0\0\x09 key=a
>b 1e ext=\0\0\0\x09 key=a
>b 23 ext=\0\0\0\x09 key=a
>b 24 ext=\0\0\0\x09 key=a
<b 1c opaque=1 status=1 value=Not\sfound
<b 1d opaque=2 status=1 value=Not\sfound
<b 23 opaque=4 status=1 key=a
<b 1c cas=2 ext=\0\0\0\x07
<b 1d cas=2 ext=\0\0\0\x07 value=xyz
<b 1e cas=2 ext=\0\0\0\x07 value=xyz
<b 23 cas=2 ext=\0\0\0\x07 key=a value=xyz
<b 24 cas=2 ext=\0\0\0\x07 key=a value=xyz

case times: relative, absolute, far away
>b 11 ext=\0\0\0\0\0\0\0\x05 key=a value=x
>b 11 ext=\0\0\0\0\xff\xff\xff\xff key=b value=x
>b 11 ext=\0\0\0\0\0\x40\0\0 key=c value=x
>b 05 ext=\{8:\0}\{7:\0}\x01\0\0\0\x05 key=n
>b 1d ext=\0\0\0\x14 key=b
<b 05 cas=* value=\{7:\0}\x01
<b 1d cas=3 ext=\0\0\0\0 value=x
tick 10
>b 00 key=a
>b 09 key=b
>b 00 key=c
>b 0c key=n
<b 00 status=1 value=Not\sfound
<b 09 cas=3 ext=\0\0\0\0 value=x
<b 00 status=1 value=Not\sfound
<b 0c status=1 key=n
tick 11
>b 00 key=b
<b 00 status=1 value=Not\sfound

case flush
>b 11 ext=\0\0\0\0\0\0\0\0 key=a value=x
>b 08
>b 00 key=a
>b 11 ext=\0\0\0\0\0\0\0\0 key=a value=x
>b 18 ext=\0\0\0\0
>b 09 key=a
>b 08 ext=\0\0\0\0
>b 0a
<b 08
<b 00 status=1 value=Not\sfound
<b 08
<b 0a

case flush later
>b 11 ext=\0\0\0\0\0\0\0\0 key=a value=x
>b 08 ext=\0\0\0\x0a
>b 00 key=a
<b 08
<b 00 cas=2 ext=\0\0\0\0 value=x
tick 11
>b 00 key=a
<b 00 status=1 value=Not\sfound

server -F
case flush that is not allowed
>b 11 ext=\0\0\0\0\0\0\0\0 key=a value=x
>b 08
>b 18
>b 00 key=a
<b 08 status=0x20 value=Auth\sfailure.
<b 18 status=0x20 value=Auth\sfailure.
<b 00 cas=2 ext=\0\0\0\0 value=x

server
case stat: groups end with an empty packet
>b 10 opaque=1
>b 10 opaque=2 key=settings
>b 10 opaque=3 key=reset
>b 10 opaque=4 key=items
>b 10 opaque=5 key=nothing
>b 10 opaque=6 key=sizes
>b 10 opaque=7 key=larder
>b 10 opaque=8 key=conns
<...
<b 10 opaque=1 key=version value=1.6.45
<...
<b 10 opaque=1
<...
<b 10 opaque=2 key=maxconns value=1024
<...
<b 10 opaque=2
<b 10 opaque=3
<b 10 opaque=4
<b 10 opaque=5 status=1 value=Not\sfound
<...
<b 10 opaque=6
<...
<b 10 opaque=7
<b 10 opaque=8 status=1 value=Not\sfound

case stat of slabs
>b 11 ext=\0\0\0\0\0\0\0\0 key=a value=x
>b 10 opaque=1 key=slabs
>b 10 opaque=2 key=items
<...
<b 10 opaque=1 key=active_slabs value=1
<...
<b 10 opaque=1
<...
<b 10 opaque=2

case stat detail
>b 10 opaque=1 key=detail\son
>b 11 ext=\0\0\0\0\0\0\0\0 key=p:a value=x
>b 09 key=p:a
>b 09 key=p:b
>b 1e ext=\0\0\0\0 key=p:b
>b 14 key=p:a
>b 10 opaque=2 key=detail\sdump
>b 10 opaque=3 key=detail\soff
>b 10 opaque=4 key=detail
>b 10 opaque=5 key=detail\swhat
<b 10 opaque=1
<b 09 cas=2 ext=\0\0\0\0 value=x
<b 10 opaque=2 key=detailed value=PREFIX\sp\sget\s3\shit\s1\sset\s1\sdel\s1\r\nEND\r\n
<b 10 opaque=2
<b 10 opaque=3
<b 10 opaque=4 status=1 value=Not\sfound
<b 10 opaque=5 status=1 value=Not\sfound

server -X
case stat detail that is not allowed
>b 10 opaque=1 key=detail\son
>b 10 opaque=2 key=detail\sdump
<b 10 opaque=1 status=1 value=Not\sfound
<b 10 opaque=2 status=1 value=Not\sfound

server
case unknown opcodes swallow their body, and go on
>b 1b opaque=1 ext=\0\0\0\x01
>b 1f opaque=2
>b 30 opaque=3 ext=\0\0 key=abc value=\x80\x0a\{22:\0}
>b 25 opaque=4 value=\{3000:x}
>b ff opaque=5
>b 20 opaque=6
>b 21 opaque=7 key=PLAIN value=\0user\0secret
>b 22 opaque=8 key=PLAIN value=x
>b 0a opaque=9
<b 1b opaque=1 status=0x81 value=Unknown\scommand
<b 1f opaque=2 status=0x81 value=Unknown\scommand
<b 30 opaque=3 status=0x81 value=Unknown\scommand
<b 25 opaque=4 status=0x81 value=Unknown\scommand
<b ff opaque=5 status=0x81 value=Unknown\scommand
<b 20 opaque=6 status=0x81 value=Unknown\scommand
<b 21 opaque=7 status=0x81 value=Unknown\scommand
<b 22 opaque=8 status=0x81 value=Unknown\scommand
<b 0a opaque=9

case an unknown opcode with a body longer than the buffer
>b 40 opaque=1 value=\{200000:x}
>b 0a opaque=2
<b 40 opaque=1 status=0x81 value=Unknown\scommand
<b 0a opaque=2

case a wrong magic later on
>b 0a
>b 0a magic=0x81
<b 0a
close

case text later on
>b 0a
>> get a\r\n
<b 0a
close

# What breaks the rules is answered, and closes.

case an extra of get
>b 0a
>b 00 opaque=5 ext=\0 key=a
>b 0a
<b 0a
<b 00 opaque=5 status=4 value=Invalid\sarguments
close

case a get without a key
>b 0a
>b 00 opaque=5
>b 0a
<b 0a
<b 00 opaque=5 status=4 value=Invalid\sarguments
close

case a get with a value
>b 0a
>b 0c opaque=5 key=a value=x
>b 0a
<b 0a
<b 0c opaque=5 status=4 value=Invalid\sarguments
close

case a quiet get without a key
>b 0a
>b 09 opaque=5
>b 0a
<b 0a
<b 09 opaque=5 status=4 value=Invalid\sarguments
close

case a key above the limit
>b 0a
>b 00 opaque=5 key=\{251:k}
>b 0a
<b 0a
<b 00 opaque=5 status=4 value=Invalid\sarguments
close

case a set without extras
>b 0a
>b 01 opaque=5 key=a value=x
>b 0a
<b 0a
<b 01 opaque=5 status=4 value=Invalid\sarguments
close

case a set with short extras
>b 0a
>b 02 opaque=5 ext=\{7:\0} key=a value=x
>b 0a
<b 0a
<b 02 opaque=5 status=4 value=Invalid\sarguments
close

case a set without a key
>b 0a
>b 03 opaque=5 ext=\0\0\0\0\0\0\0\0 value=x
>b 0a
<b 0a
<b 03 opaque=5 status=4 value=Invalid\sarguments
close

case a quiet set without extras
>b 0a
>b 11 opaque=5 key=a value=x
>b 0a
<b 0a
<b 11 opaque=5 status=4 value=Invalid\sarguments
close

case a delete with extras
>b 0a
>b 04 opaque=5 ext=\0 key=a
>b 0a
<b 0a
<b 04 opaque=5 status=4 value=Invalid\sarguments
close

case a delete with a value
>b 0a
>b 14 opaque=5 key=a value=x
>b 0a
<b 0a
<b 14 opaque=5 status=4 value=Invalid\sarguments
close

case an incr with short extras
>b 0a
>b 05 opaque=5 ext=\{19:\0} key=a
>b 0a
<b 0a
<b 05 opaque=5 status=4 value=Invalid\sarguments
close

case an incr without a key
>b 0a
>b 06 opaque=5 ext=\{20:\0}
>b 0a
<b 0a
<b 06 opaque=5 status=4 value=Invalid\sarguments
close

case an incr with a value
>b 0a
>b 15 opaque=5 ext=\{20:\0} key=a value=x
>b 0a
<b 0a
<b 15 opaque=5 status=4 value=Invalid\sarguments
close

case a quit with a key
>b 0a
>b 07 opaque=5 key=a
>b 0a
<b 0a
<b 07 opaque=5 status=4 value=Invalid\sarguments
close

case a flush with long extras
>b 0a
>b 08 opaque=5 ext=\{8:\0}
>b 0a
<b 0a
<b 08 opaque=5 status=4 value=Invalid\sarguments
close

case a flush with a key
>b 0a
>b 18 opaque=5 ext=\0\0\0\0 key=a
>b 0a
<b 0a
<b 18 opaque=5 status=4 value=Invalid\sarguments
close

case a noop with extras
>b 0a
>b 0a opaque=5 ext=\0
>b 0a
<b 0a
<b 0a opaque=5 status=4 value=Invalid\sarguments
close

case a noop with a key
>b 0a
>b 0a opaque=5 key=a
>b 0a
<b 0a
<b 0a opaque=5 status=4 value=Invalid\sarguments
close

case a version with a value
>b 0a
>b 0b opaque=5 value=x
>b 0a
<b 0a
<b 0b opaque=5 status=4 value=Invalid\sarguments
close

case an append with extras
>b 0a
>b 0e opaque=5 ext=\0 key=a value=x
>b 0a
<b 0a
<b 0e opaque=5 status=4 value=Invalid\sarguments
close

case a prepend without a key
>b 0a
>b 1a opaque=5 value=x
>b 0a
<b 0a
<b 1a opaque=5 status=4 value=Invalid\sarguments
close

case a stat with extras
>b 0a
>b 10 opaque=5 ext=\0 key=a
>b 0a
<b 0a
<b 10 opaque=5 status=4 value=Invalid\sarguments
close

case a stat with a value
>b 0a
>b 10 opaque=5 key=a value=x
>b 0a
<b 0a
<b 10 opaque=5 status=4 value=Invalid\sarguments
close

case a touch without a time
>b 0a
>b 1c opaque=5 key=a
>b 0a
<b 0a
<b 1c opaque=5 status=4 value=Invalid\sarguments
close

case a gat without a key
>b 0a
>b 1d opaque=5 ext=\0\0\0\0
>b 0a
<b 0a
<b 1d opaque=5 status=4 value=Invalid\sarguments
close

case a gatk with a value
>b 0a
>b 24 opaque=5 ext=\0\0\0\0 key=a value=x
>b 0a
<b 0a
<b 24 opaque=5 status=4 value=Invalid\sarguments
close

case a body above the limit
>b 0a
>b 01 opaque=5 ext=\0\0\0\0\0\0\0\0 key=a bodylen=0x40000001
>b 0a
<b 0a
<b 01 opaque=5 status=4 value=Invalid\sarguments
close

case a key longer than the body
>b 00 opaque=5 key=ab bodylen=1
>b 0a
<b 00 opaque=5 status=0x81 value=Unknown\scommand
close

case key and extras longer than the body
>b 01 opaque=5 ext=\0\0\0\0\0\0\0\0 key=ab bodylen=9
>b 0a
<b 01 opaque=5 status=0x81 value=Unknown\scommand
close

case an unknown opcode whose key is longer than its body
>b 99 opaque=5 keylen=1
>b 0a
<b 99 opaque=5 status=0x81 value=Unknown\scommand
close

server -B binary
case with -B binary text closes
> get a
close

case with -B binary
>b 0a opaque=1
<b 0a opaque=1

server -B ascii
case with -B ascii a packet is text
>> \x80\x0b\{10:a}\r\n
< ERROR

server -C
case without CAS ids
>b 01 ext=\0\0\0\0\0\0\0\0 key=a value=x
>b 00 key=a
<b 01
<b 00 ext=\0\0\0\0 value=x

server -R 1
case one request per turn
>b 11 ext=\0\0\0\0\0\0\0\0 key=a value=x
>b 00 opaque=1 key=a
>b 09 opaque=2 key=a
>b 09 opaque=3 key=b
>b 1d ext=\0\0\0\0 key=a
>b 0a
<b 00 opaque=1 cas=2 ext=\0\0\0\0 value=x
<b 09 opaque=2 cas=2 ext=\0\0\0\0 value=x
<b 1d cas=2 ext=\0\0\0\0 value=x
<b 0a

server
case more gets than a batch takes
>b 11 ext=\0\0\0\0\0\0\0\0 key=a value=x
>> \{70:\x80\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0a\x80\x09\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0b}
>b 0a
<< \{70:\x81\0\0\0\x04\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\0x}
<b 0a

case long misses of a full batch
>> \{64:\x80\x0c\0\xfa\0\0\0\0\0\0\0\xfa\0\0\0\0\{8:\0}\{250:k}}
<< \{64:\x81\x0c\0\xfa\0\0\0\x01\0\0\0\xfa\0\0\0\0\{8:\0}\{250:k}}

case a long value, and one that is sent from where it lies
>b 01 opaque=1 ext=\0\0\0\0\0\0\0\0 key=a value=\{300000:v}
>b 00 opaque=2 key=a
>b 0d opaque=3 key=a
>b 1c opaque=4 ext=\0\0\0\0 key=a
>b 1d opaque=5 ext=\0\0\0\0 key=a
>b 0a
<b 01 opaque=1 cas=2
<b 00 opaque=2 cas=2 ext=\0\0\0\0 value=\{300000:v}
<b 0d opaque=3 cas=2 ext=\0\0\0\0 key=a value=\{300000:v}
<b 1c opaque=4 cas=2 ext=\0\0\0\0
<b 1d opaque=5 cas=2 ext=\0\0\0\0 value=\{300000:v}
<b 0a

case values around the size that is copied
>b 11 ext=\0\0\0\0\0\0\0\0 key=a value=\{16384:v}
>b 11 ext=\0\0\0\0\0\0\0\0 key=b value=\{16385:w}
>> \{12:\x80\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\{8:\0}a}
>b 00 key=b
<< \{12:\x81\0\0\0\x04\0\0\0\0\0\x40\x04\0\0\0\0\{7:\0}\x02\0\0\0\0\{16384:v}}
<b 00 cas=3 ext=\0\0\0\0 value=\{16385:w}

server -I 4096 -o slab_chunk_max=1
case a value that is too large takes the older one with it
>b 11 ext=\0\0\0\0\0\0\0\0 key=a value=old
>b 11 ext=\0\0\0\0\0\0\0\0 key=b value=old
>b 01 opaque=1 ext=\0\0\0\0\0\0\0\0 key=a value=\{5000:x}
>b 02 opaque=2 ext=\0\0\0\0\0\0\0\0 key=b value=\{5000:x}
>b 03 opaque=3 ext=\0\0\0\0\0\0\0\0 key=b value=\{5000:x}
>b 0e opaque=4 key=b value=\{5000:x}
>b 0f opaque=5 key=b value=\{3900:x}
>b 0e opaque=6 key=b value=\{3900:x}
>b 11 opaque=7 ext=\0\0\0\0\0\0\0\0 key=c value=\{5000:x}
>b 00 key=a
>b 0a
<b 01 opaque=1 status=3 value=Too\slarge.
<b 02 opaque=2 status=3 value=Too\slarge.
<b 03 opaque=3 status=3 value=Too\slarge.
<b 0e opaque=4 status=3 value=Too\slarge.
<b 0f opaque=5 cas=*
<b 0e opaque=6 status=5 value=Not\sstored.
<b 11 opaque=7 status=3 value=Too\slarge.
<b 00 status=1 value=Not\sfound
<b 0a
