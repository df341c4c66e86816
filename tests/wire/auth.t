# -Y: a login before anything else.  Source: contract 1.11, 0.d.
server -Y tests/wire/auth.users

case a login opens
> set x 0 0 10
> ann secret
< STORED
> set k 0 0 1
> v
> get k
< STORED
< VALUE k 0 1
< v
< END

case all in one pipeline
> get k
> set x 0 0 10
> ann secret
> get k
> set k 0 0 1
> v
> mg k v
< CLIENT_ERROR unauthenticated
< STORED
< END
< STORED
< VA 1
< v

case every command before the login has its own reply
> get k
> gets k j
> gat 0 k
> delete k
> incr k 1
> touch k 0
> version
> stats
> flush_all
> quit
> verbosity 1
> shutdown
> mg k v
> md k
> ma k N0
> mn foo
> me key
> nonsense
> GET / HTTP/1.1
> watch fetchers
> set x 0 0 10
> ann secret
> get k
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< STORED
< END

# As lines: who has not logged in does not tell the server how many bytes to skip.
case only a set has a data block
> add x 0 0 10
> ann secret
> ms x 10
> ann secret
> set x 0 0 10
> ann secret
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< STORED

case the data block of a failed login is consumed
> set x 0 0 9
> ann wrong
> set x 0 0 24
> ann x\r\nset x 0 0 10\r\nann
> set x 0 0 10
> ann secret
< CLIENT_ERROR authentication failure
< CLIENT_ERROR authentication failure
< STORED

case nearly right passwords are wrong
> set x 0 0 9
> ann secre
> set x 0 0 11
> ann secrets
> set x 0 0 11
> ann secret\0
> set x 0 0 10
> ann SECRET
> set x 0 0 10
> bob secret
> set x 0 0 11
> annn secret
> set x 0 0 9
> an secret
> set x 0 0 11
> ann  secret
> set x 0 0 11
> ann secret\s
> set x 0 0 10
> ann:secret
> set x 0 0 10
> ann secret
< CLIENT_ERROR authentication failure
< CLIENT_ERROR authentication failure
< CLIENT_ERROR authentication failure
< CLIENT_ERROR authentication failure
< CLIENT_ERROR authentication failure
< CLIENT_ERROR authentication failure
< CLIENT_ERROR authentication failure
< CLIENT_ERROR authentication failure
< CLIENT_ERROR authentication failure
< CLIENT_ERROR bad authentication token format
< STORED

case a password may hold spaces, colons, and lack its line end in the file
> set x 0 0 13
> bob two words
< STORED

case a password with a colon
> set x 0 0 7
> u10 a:b
< STORED

case the last line of the file
> set x 0 0 11
> bob another
< STORED

case tokens without user or password
> set x 0 0 0
>
> set x 0 0 1
> \s
> set x 0 0 4
> ann\s
> set x 0 0 7
> \ssecret
> set x 0 0 3
> ann
> set x 0 0 10
> ann secret
< CLIENT_ERROR bad authentication token format
< CLIENT_ERROR bad authentication token format
< CLIENT_ERROR bad authentication token format
< CLIENT_ERROR bad authentication token format
< CLIENT_ERROR bad authentication token format
< STORED

case the data block ends in CR LF
>> set x 0 0 10\r\nann secretxx
>> set x 0 0 10\r\nann secret\n\n
>> set x 0 0 10\r\nann secret\r\r
>> set x 0 0 10\nann secret\r\n
< CLIENT_ERROR bad command line termination
< CLIENT_ERROR bad command line termination
< CLIENT_ERROR bad command line termination
< STORED

case noreply is no reason to be silent
> set x 0 0 9 noreply
> ann wrong
> set x 0 0 10 noreply
> ann secret
< CLIENT_ERROR authentication failure
< STORED

case key, flags and time are anything
> set \{300:k} flags time 10 more words
> ann secret
< STORED

case spaces
>   set  x   0 0  10\s
> ann secret
< STORED

case a length that is none makes no login
> set x 0 0 -1
> set x 0 0 +3
> set x 0 0 abc
> set x 0 0 9999999999
> set x 0 0
> set x
> setx 0 0 10
> set x 0 0 10
> ann secret
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< STORED

case the longest token is looked at
> set x 0 0 16384
> ann \{16380:x}
> set x 0 0 10
> ann secret
< CLIENT_ERROR authentication failure
< STORED

case one longer is not, and is consumed
> set x 0 0 16385
> ann \{16380:x}y
> set x 0 0 200000
> \{200000:x}
> set x 0 0 10
> ann secret
< CLIENT_ERROR auth token too long
< CLIENT_ERROR auth token too long
< STORED

case a short line closes
> get k
> mn
< CLIENT_ERROR unauthenticated
close

case an empty line closes
>
close

case six bytes are enough
> quit
> set x 0 0 10
> ann secret
< CLIENT_ERROR unauthenticated
< STORED

case a line of 2 KiB without its end waits
>> get \{2043:k}
>> \r\n
> set x 0 0 10
> ann secret
< CLIENT_ERROR unauthenticated
< STORED

case a longer one closes
>> get \{2045:k}
close

case a packet is no line
>b 0b
>> \r\n
> set x 0 0 10
> ann secret
< CLIENT_ERROR unauthenticated
< STORED

case logins are counted
> get k
> set x 0 0 3
> ann
> set x 0 0 9
> ann wrong
> set x 0 0 9
> eve wrong
> set x 0 0 10
> ann secret
> stats
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR bad authentication token format
< CLIENT_ERROR authentication failure
< CLIENT_ERROR authentication failure
< STORED
<...
< STAT auth_cmds 3
< STAT auth_errors 2
<...
< END

case settings name the file, and say ascii
> set x 0 0 10
> ann secret
> stats settings
< STORED
<...
< STAT binding_protocol ascii
< STAT auth_enabled_sasl no
< STAT auth_enabled_ascii tests/wire/auth.users
<...
< END

case a login when in is a set
> set x 0 0 10
> ann secret
> set x 0 0 9
> ann wrong
> get x
< STORED
< STORED
< VALUE x 0 9
< ann wrong
< END

server -Y tests/wire/auth.users -R 1
case one request at a time
> get k
> get k
> set x 0 0 9
> ann wrong
> set x 0 0 10
> ann secret
> get k
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR unauthenticated
< CLIENT_ERROR authentication failure
< STORED
< END
