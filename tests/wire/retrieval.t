# Contract 1.3: get gets gat gats.

case a miss
> get a
> gets a
> gat 0 a
> gats 0 a
< END
< END
< END
< END

case many keys, some there, some twice
> set a 1 0 1
> x
> set b 2 0 2
> yy
> get c a b a d
> gets a c b
< STORED
< STORED
< VALUE a 1 1
< x
< VALUE b 2 2
< yy
< VALUE a 1 1
< x
< END
< VALUE a 1 1 \*
< x
< VALUE b 2 2 \*
< yy
< END

case gat touches and answers
> set a 1 10 1
> x
> gat 100 a b
< STORED
< VALUE a 1 1
< x
< END
tick 50
> gats 0 a
< VALUE a 1 1 \*
< x
< END
tick 1000
> gat -1 a
> get a
< VALUE a 1 1
< x
< END
< END

case no key
> get
> gets
> gat
> gats
> gat 0
> gats 0
> get  
> gat x
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

case gat with a bad time
> gat x a
> gats 1x a
> gat +5 a
> mn
< CLIENT_ERROR invalid exptime argument
< CLIENT_ERROR invalid exptime argument
< CLIENT_ERROR invalid exptime argument
< MN

case get knows no noreply
> set noreply 0 0 1
> x
> get noreply
> get a noreply
> gat 0 noreply
< STORED
< VALUE noreply 0 1
< x
< END
< VALUE noreply 0 1
< x
< END
< VALUE noreply 0 1
< x
< END

case a key too long, alone
> get \{251:k}
> gets \{251:k}
> gat 0 \{251:k}
> gats 0 \{251:k}
> get \{1000:k}
> mn
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< MN

case a key too long discards the answers before it
> set a 0 0 1
> x
> get a a \{251:k} a
> gets \{251:k} a
> gat 0 a \{251:k}
> gats 0 a \{251:k} a
> get a
< STORED
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< VALUE a 0 1
< x
< END

case a key too long behind more keys than a batch holds
> set a 0 0 1
> x
> get \{100:a b }\{251:k} a
> get\{31: a} \{251:k}
> get\{32: a} \{251:k}
> get\{33: a} \{251:k}
> get a
> get \{251:k}
> get a
< STORED
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< VALUE a 0 1
< x
< END
< CLIENT_ERROR bad command line format
< VALUE a 0 1
< x
< END

case a key too long in a line whose answers do not fit the send buffer
> set a 0 0 10000
> \{10000:v}
> get \{100:a }\{251:k}
> gat 0 \{100:a }\{251:k}
> get \{251:k}\{100: a}
> mn
< STORED
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< MN

case a key too long in the line at which the send buffer is full
> set a 0 0 16000
> \{16000:v}
> get a a
> get a a a a
> get a a
> get a \{251:k}
> get a a \{251:k}
> get a
< STORED
<< \{2:VALUE a 0 16000\r\n\{16000:v}\r\n}END\r\n
<< \{4:VALUE a 0 16000\r\n\{16000:v}\r\n}END\r\n
<< \{2:VALUE a 0 16000\r\n\{16000:v}\r\n}END\r\n
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< VALUE a 0 16000
< \{16000:v}
< END

case the same, with the line of the bad key at different places
> set a 0 0 16000
> \{16000:v}
> get a a a a a
> get a
> get a \{251:k}
> get a a a a a a
> get a \{251:k}
> get a a a a a a a
> get a \{251:k}
> mn
< STORED
<< \{5:VALUE a 0 16000\r\n\{16000:v}\r\n}END\r\n
<< \{1:VALUE a 0 16000\r\n\{16000:v}\r\n}END\r\n
< CLIENT_ERROR bad command line format
<< \{6:VALUE a 0 16000\r\n\{16000:v}\r\n}END\r\n
< CLIENT_ERROR bad command line format
<< \{7:VALUE a 0 16000\r\n\{16000:v}\r\n}END\r\n
< CLIENT_ERROR bad command line format
< MN

case batches end where they like
> set a 0 0 1
> x
> get\{31: a}
> get\{32: a}
> get\{33: a}
> get\{64: a}
> get\{65: a}
> get a
< STORED
<< \{31:VALUE a 0 1\r\nx\r\n}END\r\n
<< \{32:VALUE a 0 1\r\nx\r\n}END\r\n
<< \{33:VALUE a 0 1\r\nx\r\n}END\r\n
<< \{64:VALUE a 0 1\r\nx\r\n}END\r\n
<< \{65:VALUE a 0 1\r\nx\r\n}END\r\n
<< VALUE a 0 1\r\nx\r\nEND\r\n

case gets and get side by side in a batch
> set a 0 0 1
> x
> get a
> gets a
> get a a
> gets b a
> get b
< STORED
< VALUE a 0 1
< x
< END
< VALUE a 0 1 \*
< x
< END
< VALUE a 0 1
< x
< VALUE a 0 1
< x
< END
< VALUE a 0 1 \*
< x
< END
< END

case answers larger than the send buffer
> set a 0 0 10000
> \{10000:v}
> set b 0 0 16000
> \{16000:w}
> get\{40: a b c}
> gats 0\{20: a b c}
> get\{40: b}
> mn
< STORED
< STORED
<< \{40:VALUE a 0 10000\r\n\{10000:v}\r\nVALUE b 0 16000\r\n\{16000:w}\r\n}END\r\n
<< \{20:VALUE a 0 10000 \*\r\n\{10000:v}\r\nVALUE b 0 16000 \*\r\n\{16000:w}\r\n}END\r\n
<< \{40:VALUE b 0 16000\r\n\{16000:w}\r\n}END\r\n
< MN

case long values, sent from where they lie
> set a 1 0 100000
> \{100000:v}
> set b 2 0 16384
> \{16384:w}
> set c 3 0 16385
> \{16385:u}
> get a
> get b c a
> gat 0 a
< STORED
< STORED
< STORED
< VALUE a 1 100000
< \{100000:v}
< END
< VALUE b 2 16384
< \{16384:w}
< VALUE c 3 16385
< \{16385:u}
< VALUE a 1 100000
< \{100000:v}
< END
< VALUE a 1 100000
< \{100000:v}
< END

case more long values than a queue takes
> set a 0 0 20000
> \{20000:v}
> get\{70: a}
> get a
< STORED
<< \{70:VALUE a 0 20000\r\n\{20000:v}\r\n}END\r\n
< VALUE a 0 20000
< \{20000:v}
< END

case a value that is deleted while it is sent
> set a 0 0 500000
> \{500000:v}
> get a
> delete a
> get a
< STORED
< VALUE a 0 500000
< \{500000:v}
< END
< DELETED
< END

case a value that is replaced while it is sent
> set a 0 0 500000
> \{500000:v}
> get a
> set a 0 0 500000
> \{500000:w}
> get a
< STORED
< VALUE a 0 500000
< \{500000:v}
< END
< STORED
< VALUE a 0 500000
< \{500000:w}
< END

case a line of 128 KiB with 18,700 keys
> set a 0 0 1
> x
> get\{18700: a}
> gets\{18700: b}
> get\{9350: abcdefghijklm} a
> mn
< STORED
<< \{18700:VALUE a 0 1\r\nx\r\n}END\r\n
< END
< VALUE a 0 1
< x
< END
< MN

case a line of 128 KiB with a key too long at its end
> get\{18700: b} \{251:k}
> get\{18700: b} \{251:k} b b b
> get \{100000:k}
> get \{100000:k} a
> mn
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< MN

case a line of 128 KiB of spaces
> get\{130000: }
> get\{130000: }a
> mn
< CLIENT_ERROR bad command line format
< END
< MN

case a line of 128 KiB behind a space
nosplit
>  get\{18700: a}
> mn
< ERROR
< MN

case a line of 70000 bytes behind other commands
> mn
> get\{10000: abcdef}
> version
< MN
< END
< VERSION 1.6.45
