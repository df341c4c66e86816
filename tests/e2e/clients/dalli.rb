# dalli.  usage: ruby dalli.rb HOST PORT binary|meta
# frozen_string_literal: true

begin
  require 'dalli'
rescue LoadError
  puts 'unavailable ruby-dalli is not installed'
  exit
end

$stdout.sync = true
host, port, PROTOCOL = ARGV
ADDRESS = "#{host}:#{port}"
HAS_META = Gem::Version.new(Dalli::VERSION) >= Gem::Version.new('3.2')
if PROTOCOL == 'meta' && !HAS_META
  puts "unavailable dalli #{Dalli::VERSION} does not speak the meta protocol yet"
  exit
end
puts "version #{Dalli::VERSION}"
Dalli.logger.level = Logger::FATAL

WAIT_S = 10
ALL_BYTES = ((0..255).map(&:chr).join + "\r\nEND\r\nVALUE x 0 1\r\n\0").b
LARGE = Random.new(1).bytes(1_000_000)
TOO_LARGE = Random.new(2).bytes(2 << 20)
LONGEST_KEY = 'k' * 250
MANY = (0...1000).to_h { |i| ["many#{i}", "value #{i}"] }

$passed = $failed = $skipped = 0

def equal(name, got, want)
  if got == want
    $passed += 1
  else
    $failed += 1
    puts "FAILED #{name}: got #{got.inspect[0, 300]}, want #{want.inspect[0, 300]}"
  end
end

def true_(name, got)
  equal(name, got ? true : false, true)
end

def raises(name, kind)
  got = yield
  equal(name, got, kind)
rescue kind
  $passed += 1
end

def eventually(want)
  stop_at = Time.now + WAIT_S
  while Time.now < stop_at
    begin
      return true if yield == want
    rescue Dalli::DalliError # the server is away, or the client does not know yet that it is back
    end
    sleep 0.02
  end
  false
end

def connect(options = {})
  options = { down_retry_delay: 0, socket_timeout: WAIT_S, value_max_bytes: 4 << 20 }.merge(options)
  options[:protocol] = PROTOCOL.to_sym if HAS_META
  options = { username: ENV['SASL_USER'], password: ENV['SASL_PASSWORD'] }.merge(options) if ENV['SASL_USER']
  Dalli::Client.new(ADDRESS, options)
end

def check_storage(client)
  true_('set', client.set('a', '1'))
  equal('get', client.get('a'), '1')
  equal('get of a missing key', client.get('missing'), nil)
  true_('add of an existing key', !client.add('a', '2'))
  true_('add', client.add('b', '2'))
  true_('replace', client.replace('b', '3'))
  client.replace('missing', '3') # its result does not tell
  equal('after replace of a missing key', client.get('missing'), nil)
  true_('set raw', client.set('raw', 'mid', nil, raw: true))
  true_('append', client.append('raw', 'dle'))
  true_('prepend', client.prepend('raw', 'in the '))
  equal('the longer text', client.get('raw', raw: true), 'in the middle')
  true_('append to a missing key', !client.append('missing', 'x'))
  true_('delete', client.delete('a'))
  true_('delete of a missing key', !client.delete('a'))
  equal('fetch makes', client.fetch('computed', 100) { 'made' }, 'made')
  equal('fetch finds', client.fetch('computed', 100) { 'again' }, 'made')
  nils = connect(cache_nils: true)
  equal('fetch of nil', [nils.fetch('nothing', 100) { nil }, nils.fetch('nothing', 100) { 1 }], [nil, nil])
end

def check_values(client)
  structure = { 'list' => [1, 2.5, nil], symbol: :x, 'nested' => { 'a' => [true] } }
  values = { 'bytes' => ALL_BYTES, 'empty' => '', 'text' => 'häß ✓', 'integer' => 12_345, 'structure' => structure,
             'large' => LARGE, LONGEST_KEY => 'long' }
  values.each do |name, value|
    true_("set of #{name}", client.set(name, value))
    equal("get of #{name}", client.get(name), value)
  end
  [1, 1023, 4096, 16_384, 65_535, 65_536, 200_000].each do |size|
    true_("set of #{size} bytes", client.set('sized', LARGE[0, size], nil, raw: true))
    equal("get of #{size} bytes", client.get('sized', raw: true), LARGE[0, size])
  end
  true_('a refused value is no success', !too_large_is_stored(client))
  true_('the client trusts the server again', eventually(12_345) { client.get('integer') })
  equal('a refused value leaves nothing', client.get('large'), nil)
  true_('a longer key is hashed by the client', client.set('k' * 251, 'x'))
  equal('and found', client.get('k' * 251), 'x')
end

def too_large_is_stored(client)
  client.set('large', TOO_LARGE, nil, raw: true)
rescue Dalli::DalliError
  false
end

def check_cas(client)
  client.set('c', 'old')
  value, cas = client.get_cas('c')
  equal('get_cas', value, 'old')
  true_('set_cas', client.set_cas('c', 'new', cas))
  true_('set_cas with an old number', !client.set_cas('c', 'late', cas))
  true_('replace_cas with an old number', !client.replace_cas('c', 'late', cas))
  true_('delete_cas with an old number', !client.delete_cas('c', cas))
  true_('cas', client.cas('c') { |old| "#{old}er" })
  equal('the value after cas', client.get('c'), 'newer')
  equal('cas of a missing key', client.cas('missing') { 'x' }, nil)
  equal('get_multi_cas', client.get_multi_cas('c', 'missing').transform_values(&:first), { 'c' => 'newer' })
  _, cas = client.get_cas('c')
  true_('delete_cas', client.delete_cas('c', cas))
end

def check_numbers(client)
  equal('incr of a missing key', client.incr('n'), nil)
  equal('incr with an initial value', client.incr('n', 5, 100, 10), 10)
  equal('incr', client.incr('n', 32), 42)
  equal('decr', client.decr('n', 2), 40)
  equal('decr stops at 0', client.decr('n', 100), 0)
  equal('decr with an initial value', client.decr('n2', 5, 100, 7), 7)
  client.set('words', 'abc', nil, raw: true)
  raises('incr of a text', Dalli::DalliError) { client.incr('words') }
  true_('touch', client.touch('n', 100))
  true_('touch of a missing key', !client.touch('missing', 100))
  client.set('g', 'x', 100)
  equal('gat', client.gat('g', 200), 'x')
  equal('gat of a missing key', client.gat('missing', 200), nil)
end

def check_many(client)
  client.multi { MANY.each { |key, value| client.set(key, value) } }
  equal('quiet sets, then get_multi', client.get_multi(*MANY.keys, 'missing1', 'missing2'), MANY)
  equal('get_multi of missing keys', client.get_multi(*(0...500).map { |i| "missing#{i}" }), {})
  found = {}
  client.get_multi(MANY.keys) { |key, value| found[key] = value }
  equal('get_multi with a block', found, MANY)
  client.multi do # no errors among them: the client does not expect answers here
    client.delete('many1')
    client.add('added', 'x')
    client.replace('many2', 'replaced')
    client.set('counted', 5, nil, raw: true)
    client.incr('counted', 37)
  end
  equal('after quiet commands', client.get_multi('many1', 'many2', 'added'), { 'many2' => 'replaced', 'added' => 'x' })
  equal('after a quiet incr', client.get('counted', raw: true), '42')
end

def check_encodings
  text = 'squeeze me ' * 5000
  client = connect(compress: true, compression_min_size: 100, namespace: 'app')
  true_('set compressed', client.set('compressed', text))
  equal('get compressed', client.get('compressed'), text)
  equal('get_multi compressed, with a namespace', client.get_multi('compressed'), { 'compressed' => text })
  true_('the server has it below the namespace', connect.get('app:compressed'))
  json = connect(serializer: JSON)
  json.set('json', { 'a' => [1, nil] })
  equal('a serializer of our own', json.get('json'), { 'a' => [1, nil] })
end

def check_server(client)
  true_('version', client.version[ADDRESS].match?(/\A1\.6\.\d+\z/))
  stats = client.stats[ADDRESS]
  true_('stats: curr_items', stats['curr_items'].to_i > 1000)
  equal('stats: threads', stats['threads'], '2')
  true_('stats settings', client.stats(:settings)[ADDRESS].key?('maxbytes'))
  true_('stats slabs', client.stats(:slabs)[ADDRESS].key?('active_slabs'))
  true_('stats items', client.stats(:items)[ADDRESS].keys.any? { |name| name.start_with?('items:') })
  true_('reset_stats', client.reset_stats.all?)
  equal('stats after it', client.stats[ADDRESS]['get_hits'], '0')
  true_('alive!', client.alive!)
end

def check_login(client)
  return unless ENV['SASL_USER']

  raises('a wrong password', Dalli::DalliError) { connect(password: 'wrong').set('stranger', 'x') }
  equal('nothing was stored', client.get('stranger'), nil)
end

client = connect(serializer: Marshal)
require 'json'
client.set('short_lived', 'x', 1)
client.set('absolute', 'x', Time.now.to_i + 100)
equal('an absolute time to come', client.get('absolute'), 'x')
check_storage(client)
check_values(client)
check_cas(client)
check_numbers(client)
check_many(client)
check_encodings
check_server(client)
check_login(client)
threads = (0...4).map do |t|
  Thread.new { (0...100).all? { |i| client.set("t#{t}.#{i}", i) && client.get("t#{t}.#{i}") == i } }
end
true_('one client in four threads', threads.all?(&:value))
true_('a value with an expiry goes', eventually(nil) { client.get('short_lived') })
true_('flush', client.flush.all?)
equal('everything is gone', client.get_multi(*MANY.keys), {})
client.set('kept', '1')
puts 'restart'
$stdin.gets
true_('set after the restart', eventually(true) { client.set('fresh', '2') ? true : false })
equal('get after the restart', client.get('fresh'), '2')
equal('the new server is empty', client.get('kept'), nil)
client.close
puts "#{$passed} passed, #{$failed} failed, #{$skipped} skipped"
exit($failed.zero? ? 0 : 1)
