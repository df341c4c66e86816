# Contract 1.1: lines, words, pipelining, what closes.

case version ignores further words
> version
> version junk and more
> version noreply
< VERSION 1.6.45
< VERSION 1.6.45
< VERSION 1.6.45

case a bare LF ends a line
>> version\nmn \nversion\r\n
< VERSION 1.6.45
< MN
< VERSION 1.6.45

case a bare LF ends the lines of all commands
>> set a 1 0 2\nab\r\nget a\ngets a b\nincr b 1\ndelete a\ntouch a 0\nget a \n
< STORED
< VALUE a 1 2
< ab
< END
< VALUE a 1 2 \*
< ab
< END
< NOT_FOUND
< DELETED
< NOT_FOUND
< END

case only the last CR belongs to the line end
>> get a\r\r\nversion\r\n
< END
< VERSION 1.6.45

case spaces between words and behind the last
> set   a   7   0   1  
> x
> get  a   a  
> version  
> delete   a  
< STORED
< VALUE a 7 1
< x
< VALUE a 7 1
< x
< END
< VERSION 1.6.45
< DELETED

case a leading space makes the command unknown
>  get a
>  version
>    set a 0 0 1
< ERROR
< ERROR
< ERROR

case short lines are bad
>> \r\n
>> \s\n
>> a\r\n
>> \n
>> ab\n
>> mn\n
> version
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< VERSION 1.6.45

case four bytes are enough for an unknown command
>> ab\r\n
>> abc\n
>> mn\r\n
>> mn \n
< ERROR
< ERROR
< MN
< MN

case command names are case sensitive
> GET a
> Set a 0 0 1
> VERSION
> mN x
< ERROR
< ERROR
< ERROR
< ERROR

case command names match whole
> getx a
> ge a
> getss a
> versio
> versions
> sett a 0 0 1
< ERROR
< ERROR
< ERROR
< ERROR
< ERROR
< ERROR

case an unknown command says so in spite of noreply
> bogus noreply
> bogus
> bogus 1 2 3 noreply
< ERROR
< ERROR
< ERROR

case TAB, NUL and bytes above 127 are part of keys
>> set a\tb 0 0 1\r\n1\r\nset c\0d 0 0 1\r\n2\r\nset \xc3\xa4\xff 0 0 1\r\n3\r\nset \x7f\x01 0 0 1\r\n4\r\n
>> get a\tb c\0d \xc3\xa4\xff \x7f\x01 a c\r\n
< STORED
< STORED
< STORED
< STORED
<< VALUE a\tb 0 1\r\n1\r\nVALUE c\0d 0 1\r\n2\r\nVALUE \xc3\xa4\xff 0 1\r\n3\r\nVALUE \x7f\x01 0 1\r\n4\r\n
< END

case a CR inside of a line is part of a key
>> set a\rb 0 0 1\r\n1\r\nget a\rb a\r\n
< STORED
<< VALUE a\rb 0 1\r\n1\r\n
< END

case HTTP requests close without a reply
> version
> GET / HTTP/1.1
> version
< VERSION 1.6.45
close

case HTTP in the last word alone closes
> foo HTTP/1.1 x
> get HTTP/1.1
> xHTTP/1.0 b
< ERROR
< END
< ERROR

case any last word that begins with HTTP closes
> POST x HTTP/
close

case a command that is nothing but HTTP closes
> HTTP/1.1
close

case quit closes behind earlier replies
> set a 0 0 1
> x
> get a
> quit
> get a
< STORED
< VALUE a 0 1
< x
< END
close

case quit takes further words
> mn
> quit noreply please
> mn
< MN
close

case mn takes further words
> mn
> mn junk
> mn noreply
< MN
< MN
< MN

case replies keep the order of a pipeline longer than -R
> \{30:set a 0 0 1\r\nx\r\nget a\r\n}mn
<< \{30:STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n}
< MN

case a pipeline of gets longer than -R and than a batch
> set a 0 0 1
> x
> \{100:get a\r\nget b\r\ngets b b\r\n}mn
< STORED
<< \{100:VALUE a 0 1\r\nx\r\nEND\r\nEND\r\nEND\r\n}
< MN

case a line of 2048 bytes without its end is waited for
>> \{2048:g}
>> \n
< ERROR

case 2049 bytes without a line end close
>> \{2049:g}
close

case replies before a line too long are sent
> version
>> \{2049:g}
< VERSION 1.6.45
close

case a set line may not grow without bound
>> set \{2045:k}
close

case a line too long behind another that has come whole
nosplit
> \{3000:g}
> mn
< ERROR
< MN

case get lines may be longer than 2048 bytes
> get \{300: abcdefghij}
> gets \{300: abcdefghij}
> mn
< END
< END
< MN

case get behind spaces is waited for, and is an error in the end
>> \{100: }get \{2100:k}
>> \r\nmn\r\n
< ERROR
< MN

case get behind more than 100 spaces is not
>> \{101: }get \{2100:k}
close

case gat lines work while their end is there
nosplit
> gat 0 \{1000: abcdefghij}
> gats 0 \{1000: abcdefghij}
< END
< END

case gat lines are not waited for
>> gat 0 \{300: abcdefghij}
close

case 0x80 later on is an unknown command
>> mn\r\n\x80abcd\r\n
< MN
< ERROR

server -B ascii
case with -B ascii 0x80 is text from the first byte
>> \x80abcd\r\n
< ERROR

server -R 1
case one command per turn
> set a 0 0 1
> x
> get a b
> gets b
> version
> incr a 1
> mn
< STORED
< VALUE a 0 1
< x
< END
< END
< VERSION 1.6.45
< CLIENT_ERROR cannot increment or decrement non-numeric value
< MN
