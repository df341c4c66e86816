# Contract 1.8.

case general statistics: names and order
> stats
< STAT pid \*
< STAT uptime \*
< STAT time \*
< STAT version 1.6.45
< STAT libevent \*
< STAT pointer_size \*
< STAT rusage_user \*
< STAT rusage_system \*
< STAT max_connections 1024
< STAT curr_connections \*
< STAT total_connections \*
< STAT rejected_connections 0
< STAT connection_structures \*
< STAT response_obj_oom 0
< STAT response_obj_count \*
< STAT response_obj_bytes \*
< STAT read_buf_count \*
< STAT read_buf_bytes \*
< STAT read_buf_bytes_free \*
< STAT read_buf_oom 0
< STAT reserved_fds \*
< STAT cmd_get 0
< STAT cmd_set 0
< STAT cmd_flush 0
< STAT cmd_touch 0
< STAT cmd_meta 0
< STAT get_hits 0
< STAT get_misses 0
< STAT get_expired 0
< STAT get_flushed 0
< STAT delete_misses 0
< STAT delete_hits 0
< STAT incr_misses 0
< STAT incr_hits 0
< STAT decr_misses 0
< STAT decr_hits 0
< STAT cas_misses 0
< STAT cas_hits 0
< STAT cas_badval 0
< STAT touch_hits 0
< STAT touch_misses 0
< STAT store_too_large 0
< STAT store_no_memory 0
< STAT auth_cmds 0
< STAT auth_errors 0
< STAT bytes_read \*
< STAT bytes_written \*
< STAT limit_maxbytes 67108864
< STAT accepting_conns \*
< STAT listen_disabled_num 0
< STAT time_in_listen_disabled_us 0
< STAT threads \*
< STAT conn_yields \*
< STAT hash_power_level \*
< STAT hash_bytes \*
< STAT hash_is_expanding 0
< STAT slab_reassign_rescues 0
< STAT slab_reassign_chunk_rescues 0
< STAT slab_reassign_inline_reclaim 0
< STAT slab_reassign_busy_items 0
< STAT slab_reassign_busy_deletes 0
< STAT slab_reassign_busy_nomem 0
< STAT slab_reassign_last_busy_status 0
< STAT slab_reassign_running 0
< STAT slabs_moved 0
< STAT lru_crawler_running 0
< STAT lru_crawler_starts 0
< STAT lru_maintainer_juggles 0
< STAT malloc_fails 0
< STAT log_worker_dropped 0
< STAT log_worker_written 0
< STAT log_watcher_skipped 0
< STAT log_watcher_sent 0
< STAT log_watchers 0
< STAT unexpected_napi_ids 0
< STAT round_robin_fallback 0
< STAT bytes 0
< STAT curr_items 0
< STAT total_items 0
< STAT slab_global_page_pool \*
< STAT expired_unfetched 0
< STAT evicted_unfetched 0
< STAT evicted_active 0
< STAT evictions 0
< STAT reclaimed 0
< STAT crawler_reclaimed 0
< STAT crawler_items_checked \*
< STAT lrutail_reflocked 0
< STAT moves_to_cold 0
< STAT moves_to_warm 0
< STAT moves_within_lru 0
< STAT direct_reclaims 0
< STAT lru_bumps_dropped 0
< END

case a trailing space is no sub-command
>> stats \r\n
< STAT pid \*
<...
< END

case unknown sub-commands, and parts of known ones
> stats foo
> stats s
> stats setting
> stats settingsx
> stats SETTINGS
> stats noreply
> stats sizes_enable
> stats sizes_disable
> mn
< ERROR
< ERROR
< ERROR
< ERROR
< ERROR
< ERROR
< ERROR
< ERROR
< MN

case command counters
process
> set a 0 0 1
> 5
> set a 0 0 1
> 5
> add a 0 0 1
> x
> get a b c
> gets a
> gat 0 a
> gat 0 b
> touch a 0
> touch b 0
> touch b 0
> incr a 1
> incr b 1
> decr a 1
> decr b 1
> decr b 1
> cas a 0 0 1 1234567
> x
> cas b 0 0 1 1
> x
> delete a
> delete a
> delete a
> flush_all
> flush_all
> set a 0 0 2000000
> \{2000000:x}
> set a 0 0 1
>> xYZstats\r\n
<...
< STAT cmd_get 4
< STAT cmd_set 6
< STAT cmd_flush 2
< STAT cmd_touch 5
< STAT cmd_meta 0
< STAT get_hits 2
< STAT get_misses 2
< STAT get_expired 0
< STAT get_flushed 0
< STAT delete_misses 2
< STAT delete_hits 1
< STAT incr_misses 1
< STAT incr_hits 1
< STAT decr_misses 2
< STAT decr_hits 1
< STAT cas_misses 1
< STAT cas_hits 0
< STAT cas_badval 1
< STAT touch_hits 2
< STAT touch_misses 3
< STAT store_too_large 1
< STAT store_no_memory 0
<...
< END

case a successful cas counts
> set a 0 0 1
> x
> gets a
< STORED
< VALUE a 0 1 \<id>
< x
< END
> cas a 0 0 1 \<id>
> y
> stats
< STORED
<...
< STAT cas_misses 0
< STAT cas_hits 1
< STAT cas_badval 0
<...
< END

case expired and flushed items count once
> set a 0 1 1
> x
> set b 0 0 1
> x
< STORED
< STORED
tick 1
> get a
> get a
> flush_all
> get b
> get b
> stats
< END
< END
< OK
< END
< END
<...
< STAT get_misses 4
< STAT get_expired 1
< STAT get_flushed 1
<...
< END

case items and their bytes
> set a 0 0 100
> \{100:x}
> set b 0 0 100
> \{100:x}
> delete b
> stats
< STORED
< STORED
< DELETED
<...
< STAT curr_items 1
< STAT total_items 2
<...
< END

case settings
> stats settings
< STAT maxbytes 67108864
< STAT maxconns 1024
< STAT tcpport \*
< STAT udpport 0
< STAT inter \*
< STAT verbosity 0
< STAT oldest 0
< STAT evictions on
< STAT domain_socket \*
< STAT umask 700
< STAT shutdown_command no
< STAT growth_factor 1.25
< STAT chunk_size 48
< STAT num_threads \*
< STAT num_threads_per_udp \*
< STAT stat_key_prefix :
< STAT detail_enabled no
< STAT reqs_per_event 20
< STAT cas_enabled yes
< STAT tcp_backlog 1024
< STAT binding_protocol auto-negotiate
< STAT auth_enabled_sasl no
< STAT auth_enabled_ascii no
< STAT item_size_max 1048576
< STAT maxconns_fast yes
< STAT hashpower_init 0
< STAT slab_reassign yes
< STAT slab_automove 1
< STAT slab_automove_ratio 0.80
< STAT slab_automove_window 10
< STAT slab_chunk_max 524288
< STAT lru_crawler yes
< STAT lru_crawler_sleep 100
< STAT lru_crawler_tocrawl 0
< STAT tail_repair_time 0
< STAT flush_enabled yes
< STAT dump_enabled yes
< STAT hash_algorithm murmur3
< STAT lru_maintainer_thread yes
< STAT lru_segmented yes
< STAT hot_lru_pct 20
< STAT warm_lru_pct 40
< STAT hot_max_factor 0.20
< STAT warm_max_factor 2.00
< STAT temp_lru no
< STAT temporary_ttl 61
< STAT idle_timeout 0
< STAT watcher_logbuf_size 262144
< STAT worker_logbuf_size 65536
< STAT read_buf_mem_limit 0
< STAT track_sizes no
< STAT inline_ascii_response no
# here stand the names of builds with TLS
<...
< STAT num_napi_ids (null)
< STAT memory_file (null)
< STAT client_flags_size 4
< STAT evict_for objects
< END

case settings with further words
> stats settings foo bar
< STAT maxbytes \*
<...
< END

case items: names and order
> set a 0 0 1
> x
> stats items
< STORED
< STAT items:1:number 1
< STAT items:1:number_hot \*
< STAT items:1:number_warm 0
< STAT items:1:number_cold \*
< STAT items:1:age_hot 0
< STAT items:1:age_warm 0
< STAT items:1:age \*
< STAT items:1:mem_requested \*
< STAT items:1:evicted 0
< STAT items:1:evicted_nonzero 0
< STAT items:1:evicted_time 0
< STAT items:1:outofmemory 0
< STAT items:1:tailrepairs 0
< STAT items:1:reclaimed 0
< STAT items:1:expired_unfetched 0
< STAT items:1:evicted_unfetched 0
< STAT items:1:evicted_active 0
< STAT items:1:crawler_reclaimed 0
< STAT items:1:crawler_items_checked 0
< STAT items:1:lrutail_reflocked 0
< STAT items:1:moves_to_cold 0
< STAT items:1:moves_to_warm 0
< STAT items:1:moves_within_lru 0
< STAT items:1:direct_reclaims 0
< STAT items:1:hits_to_hot 0
< STAT items:1:hits_to_warm 0
< STAT items:1:hits_to_cold 0
< STAT items:1:hits_to_temp 0
< END

case items of an empty cache
> stats items
< END

case slabs: names and order
> set a 0 0 1
> x
> get a
> stats slabs
< STORED
< VALUE a 0 1
< x
< END
< STAT 1:chunk_size \*
< STAT 1:chunks_per_page \*
< STAT 1:total_pages 1
< STAT 1:total_chunks \*
< STAT 1:used_chunks \*
< STAT 1:free_chunks \*
< STAT 1:free_chunks_end 0
< STAT 1:get_hits 1
< STAT 1:cmd_set 1
< STAT 1:delete_hits 0
< STAT 1:incr_hits 0
< STAT 1:decr_hits 0
< STAT 1:cas_hits 0
< STAT 1:cas_badval 0
< STAT 1:touch_hits 0
< STAT active_slabs 1
< STAT total_malloced \*
< END

case slabs of an empty cache
> stats slabs
< STAT active_slabs 0
< STAT total_malloced 0
< END

case sizes are off by default
> stats sizes
< STAT sizes_status disabled
< END

case conns
process
> stats conns
< STAT 3:addr unix:/tmp/wire
< STAT 3:state conn_listening
< END

case conns over a socket
socket
> stats conns
<...
<< :addr unix:
<...
<< :state conn_parse_cmd\r\n
<...
< END

case reset
> set a 0 0 1
> x
> get a b
> stats reset
> stats
< STORED
< VALUE a 0 1
< x
< END
< RESET
<...
< STAT cmd_get 0
< STAT cmd_set 0
<...
< STAT get_hits 0
< STAT get_misses 0
<...
< STAT curr_items 1
< STAT total_items 0
<...
< END

case reset takes further words
> stats reset now
< RESET

case our own
> stats larder
< STAT larder_version \*
<...
< STAT memory_limit 67108864
<...
< STAT page_size \*
<...
< END

case detail
> stats detail
> stats detail foo
> stats detail dump
> stats detail on
> set a:1 0 0 1
> x
> get a:1 a:2 b:3 nope
> delete a:1
> delete a:1
> gat 0 a:1
> touch a:1 0
> incr a:1 1
> set a 0 0 1
> x
> stats detail dump
> stats detail off extra
> get a:1
< CLIENT_ERROR usage: stats detail on|off|dump
< CLIENT_ERROR usage: stats detail on|off|dump
< END
< OK
< STORED
< VALUE a:1 0 1
< x
< END
< DELETED
< NOT_FOUND
< END
< NOT_FOUND
< NOT_FOUND
< STORED
< PREFIX \* get \* hit \* set \* del \*
< PREFIX \* get \* hit \* set \* del \*
< END
< OK
< END

case detail counts
> stats detail on
> set a:b:1 0 0 1
> x
> get a:b:1 a:2 a
> gets a:b:1
> delete a:1
> set a:x 0 0 2000000
> \{2000000:x}
> set a:y 0 0 1
>> xYZstats detail dump\r\n
> stats reset
> stats detail dump
< OK
< STORED
< VALUE a:b:1 0 1
< x
< END
< VALUE a:b:1 0 1 \*
< x
< END
< NOT_FOUND
< SERVER_ERROR object too large for cache
< CLIENT_ERROR bad data chunk
< PREFIX a get 3 hit 2 set 3 del 1
< END
< RESET
< END

case cachedump
> set a 0 0 3
> abc
> set b 0 -1 3
> abc
> stats cachedump 1 100
> stats cachedump
> stats cachedump 1
> stats cachedump 1 x
> stats cachedump x 1
> stats cachedump -1 1
> stats cachedump 200 1
> stats cachedump 0 1
> mn
< STORED
< STORED
< ITEM a [3 b; 0 s]
< END
< CLIENT_ERROR bad command line
< CLIENT_ERROR bad command line
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR Illegal slab id
< END
< MN

case cachedump shows expiry, and takes a limit
process
> set a 0 100 3
> abc
> stats cachedump 1 0
> set b 0 100 3
> abc
> stats cachedump 1 1
< STORED
< ITEM a [3 b; 1700000100 s]
< END
< STORED
< ITEM \* [3 b; 1700000100 s]
< END

server -X
case with -X nothing is dumped
> stats cachedump 1 1
> stats cachedump
> stats detail on
> stats detail dump
> stats detail
> stats settings
< CLIENT_ERROR stats cachedump not allowed
< CLIENT_ERROR stats cachedump not allowed
< CLIENT_ERROR stats detail not allowed
< CLIENT_ERROR stats detail not allowed
< CLIENT_ERROR stats detail not allowed
<...
< STAT dump_enabled no
<...
< END

server -D /
case with -D detail is on, with another delimiter
> get a/b a:c
> stats detail dump
> stats settings
< END
< PREFIX a get 1 hit 0 set 0 del 0
< END
<...
< STAT stat_key_prefix /
< STAT detail_enabled yes
<...
< END

server -o track_sizes
case sizes
> set a 0 0 1
> x
> stats sizes
< STORED
< STAT \* 1
< END

server -I 1024 -o slab_chunk_max=1,no_lru_crawler,no_lru_maintainer
case without crawler and maintainer their names are gone
> stats
<...
< STAT slabs_moved 0
< STAT malloc_fails 0
<...
< STAT evicted_unfetched 0
< STAT evictions 0
<...
< STAT lrutail_reflocked 0
< END

server -o no_maxconns_fast,no_slab_reassign,idle_timeout=100
case other names that depend on options
> stats
<...
< STAT total_connections \*
< STAT connection_structures \*
<...
< STAT auth_errors 0
< STAT idle_kicks 0
<...
< STAT hash_is_expanding 0
< STAT lru_crawler_running 0
<...
< END
