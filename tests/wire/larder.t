# Commands that memcached does not have: larder flush_prefix, larder scan, and who may give larder snapshot.

case larder alone and with unknown words
> larder
> larder foo
> larder SCAN 0
> larder foo noreply
> mn
< ERROR
< ERROR
< ERROR
< MN

case flush_prefix takes the keys that begin so, and no others
> set user:1 0 0 1
> a
> set user:2 0 0 1
> b
> set users 0 0 1
> c
> larder flush_prefix user:
> get user:1 user:2 users
> set user:1 0 0 1
> d
> get user:1 user:2
< STORED
< STORED
< STORED
< OK
< VALUE users 0 1
< c
< END
< STORED
< VALUE user:1 0 1
< d
< END

case nothing made of a flushed value comes back
> set p:n 0 0 1
> 5
> gets p:n
> larder flush_prefix p: noreply
> incr p:n 1
> append p:n 0 0 1
> x
> touch p:n 0
> mg p:n v
> md p:n I
> get p:n
< STORED
< VALUE p:n 0 1 \*
< 5
< END
< NOT_FOUND
< NOT_STORED
< NOT_FOUND
< EN
< NF
< END

case flush_prefix without a prefix, with more words, with a prefix that no key can have
> larder flush_prefix
> larder flush_prefix a b
> larder flush_prefix noreply
> larder flush_prefix \{251:a}
> larder flush_prefix \{250:a}
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< OK

case scan lists keys, and ends with the cursor 0
> larder scan 0
> set a:1 0 0 1
> x
> larder scan 0
> larder scan 0 a:
> larder scan 0 b:
> larder scan 0 * 5
> ms YToy 1 b
> y
> delete a:1
> larder scan 0 a:
< END 0
< STORED
< mg a:1
< END 0
< mg a:1
< END 0
< END 0
< mg a:1
< END 0
< HD
< DELETED
< mg YToy b
< END 0

case scan: what is wrong
> larder scan
> larder scan x
> larder scan -1
> larder scan 0 a 0
> larder scan 0 a 1001
> larder scan 0 a 10 b
> larder scan x noreply
> mn
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< MN

case snapshot is for those who may stop the server, or who log in
> larder snapshot /tmp/items
> larder snapshot
> larder snapshot /tmp/items noreply
> mn
< SERVER_ERROR: snapshot not enabled
< SERVER_ERROR: snapshot not enabled
< MN

server -A
case snapshot takes one path
> larder snapshot
> larder snapshot /a /b
> larder snapshot noreply
> mn
< CLIENT_ERROR usage: larder snapshot <file>
< CLIENT_ERROR usage: larder snapshot <file>
< MN

server -F -X
case not allowed
> larder flush_prefix a
> larder scan 0
< CLIENT_ERROR flush_prefix not allowed
< CLIENT_ERROR scan not allowed

server -C
case without CAS ids
> larder flush_prefix a
< SERVER_ERROR flush_prefix needs CAS ids, which -C leaves out
