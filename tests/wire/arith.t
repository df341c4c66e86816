# Contract 1.4: delete, incr, decr, touch.

case delete
> delete a
> set a 0 0 1
> x
> delete a
> delete a
> get a
< NOT_FOUND
< STORED
< DELETED
< NOT_FOUND
< END

case delete takes a 0, as old clients send it
> set a 0 0 1
> x
> delete a 0
> delete a 0
> set a 0 0 1
> x
> delete a 0 noreply
> delete a 0 noreply
> get a
< STORED
< DELETED
< NOT_FOUND
< STORED
< END

case delete refuses other further words
> set a 0 0 1
> x
> delete a 1
> delete a 0 0
> delete a x
> delete a noreply x
> delete a x noreply
> delete a 0 0 noreply
> get a
< STORED
< CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]
< CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]
< CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]
< CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]
< VALUE a 0 1
< x
< END

case delete noreply
> set a 0 0 1
> x
> delete a noreply
> delete a noreply
> delete \{251:k} noreply
> get a
< STORED
< END

case delete of a key named noreply
> set noreply 0 0 1
> x
> delete noreply
> delete noreply
< STORED
< DELETED
< NOT_FOUND

case delete with bad keys
> delete
> delete \{251:k}
> delete \{250:k}
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< NOT_FOUND

case incr and decr
> set a 0 0 1
> 5
> incr a 1
> incr a 0
> incr a 10
> decr a 3
> decr a 100
> get a
< STORED
< 6
< 6
< 16
< 13
< 0
< VALUE a 0 2
<< 0 \r\n
< END

case incr and decr of a missing key
> incr a 1
> decr a 1
> incr a 1 noreply
> get a
< NOT_FOUND
< NOT_FOUND
< END

case incr wraps at 2^64
> set a 0 0 1
> 1
> incr a 18446744073709551615
> incr a 18446744073709551614
> incr a 2
> incr a 18446744073709551615
< STORED
< 0
< 18446744073709551614
< 0
< 18446744073709551615

case decr stops at 0
> set a 0 0 20
> 18446744073709551615
> decr a 18446744073709551614
> decr a 18446744073709551615
< STORED
< 1
< 0

case a shorter number is padded with spaces
> set a 4 0 2
> 10
> decr a 1
> get a
> incr a 1
> incr a 90
> get a
< STORED
< 9
< VALUE a 4 2
<< 9 \r\n
< END
< 10
< 100
< VALUE a 4 3
< 100
< END

case spaces around the stored number
> set a 0 0 3
>   5
> incr a 1
> set b 0 0 3
>> 5  \r\n
> incr b 1
> set c 0 0 3
>>  5 \r\n
> incr c 1
< STORED
< 6
< STORED
< 6
< STORED
< 6

case leading zeros
> set a 0 0 3
> 005
> incr a 1
< STORED
< 6

case what is no number
> set a 0 0 0
>> \r\n
> incr a 1
> set a 0 0 2
> -1
> incr a 1
> set a 0 0 2
> 5x
> decr a 1
> set a 0 0 3
> abc
> incr a 1
> set a 0 0 20
> 18446744073709551616
> incr a 1
> incr a 1 noreply
> set a 0 0 1
>>  \r\n
> incr a 1
> mn
< STORED
< CLIENT_ERROR cannot increment or decrement non-numeric value
< STORED
< CLIENT_ERROR cannot increment or decrement non-numeric value
< STORED
< CLIENT_ERROR cannot increment or decrement non-numeric value
< STORED
< CLIENT_ERROR cannot increment or decrement non-numeric value
< STORED
< CLIENT_ERROR cannot increment or decrement non-numeric value
< STORED
< CLIENT_ERROR cannot increment or decrement non-numeric value
< MN

case long values are no numbers
> set a 0 0 30000
> \{30000:1}
> incr a 1
< STORED
< CLIENT_ERROR cannot increment or decrement non-numeric value

case bad deltas
> set a 0 0 1
> 1
> incr a -1
> incr a abc
> incr a 1x
> decr a +1
> decr a 18446744073709551616
> incr a x noreply
> get a
< STORED
< CLIENT_ERROR invalid numeric delta argument
< CLIENT_ERROR invalid numeric delta argument
< CLIENT_ERROR invalid numeric delta argument
< CLIENT_ERROR invalid numeric delta argument
< CLIENT_ERROR invalid numeric delta argument
< VALUE a 0 1
< 1
< END

case missing words
> incr
> incr a
> decr
> decr a
> touch
> touch a
> mn
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< MN

case keys too long
> incr \{251:k} 1
> decr \{251:k} 1
> touch \{251:k} 0
> incr \{251:k} 1 noreply
> touch \{251:k} 0 noreply
> mn
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< MN

case incr and decr noreply
> set a 0 0 1
> 5
> incr a 2 noreply
> decr a 1 noreply
> get a
< STORED
< VALUE a 0 1
< 6
< END

case incr makes a new CAS id and keeps flags
> set a 9 0 1
> 5
> gets a
< STORED
< VALUE a 9 1 \<id>
< 5
< END
> incr a 1
> cas a 0 0 1 \<id>
> 0
> get a
< 6
< EXISTS
< VALUE a 9 1
< 6
< END

case incr keeps the expiry
> set a 0 10 1
> 5
> incr a 10
< STORED
< 15
tick 9
> incr a 1
< 16
tick 1
> incr a 1
< NOT_FOUND

case touch
> touch a 0
> set a 0 10 1
> x
> touch a 100
< NOT_FOUND
< STORED
< TOUCHED
tick 99
> get a
> touch a 0
< VALUE a 0 1
< x
< END
< TOUCHED
tick 1000000
> get a
< VALUE a 0 1
< x
< END

case touch with a bad time
> touch a x
> touch a 1x
> touch a +1
> touch a x noreply
> mn
< CLIENT_ERROR invalid exptime argument
< CLIENT_ERROR invalid exptime argument
< CLIENT_ERROR invalid exptime argument
< MN

case touch noreply
> set a 0 0 1
> x
> touch a 0 noreply
> touch b 0 noreply
> touch a -1 noreply
> get a
< STORED
< END
