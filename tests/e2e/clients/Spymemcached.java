// spymemcached.  usage: java -cp spymemcached.jar Spymemcached.java HOST PORT text|binary

import java.net.InetSocketAddress;
import java.util.*;
import java.util.concurrent.*;
import java.util.logging.*;
import net.spy.memcached.*;
import net.spy.memcached.internal.*;
import net.spy.memcached.transcoders.*;

public class Spymemcached {
    static final long WAIT_MS = 10000;
    static int passed, failed, skipped;

    static void equal(String name, Object got, Object want) {
        if (Objects.deepEquals(got, want)) {
            passed++;
            return;
        }
        failed++;
        System.out.printf("FAILED %s: got %.300s, want %.300s%n", name, got, want);
    }

    static void eventually(String name, Callable<Object> call, Object want) throws Exception {
        long until = System.currentTimeMillis() + WAIT_MS;
        Object got = null;
        do {
            try {
                got = call.call();
            } catch (Exception error) { // the server is away, or the client does not know yet that it is back
                got = error;
            }
            if (Objects.deepEquals(got, want)) {
                break;
            }
            Thread.sleep(20); // between two looks
        } while (System.currentTimeMillis() < until);
        equal(name, got, want);
    }

    static byte[] bytes(int length, int seed) {
        byte[] made = new byte[length];
        new Random(seed).nextBytes(made);
        return made;
    }

    static void checkStorage(MemcachedClient m) throws Exception {
        equal("set", m.set("a", 0, "1").get(), true);
        equal("get", m.get("a"), "1");
        equal("get of a missing key", m.get("missing"), null);
        equal("add of an existing key", m.add("a", 0, "2").get(), false);
        equal("add", m.add("b", 0, "2").get(), true);
        equal("replace", m.replace("b", 0, "mid").get(), true);
        equal("replace of a missing key", m.replace("missing", 0, "2").get(), false);
        equal("append", m.append("b", "dle").get(), true);
        equal("prepend", m.prepend("b", "in the ").get(), true);
        equal("the longer text", m.get("b"), "in the middle");
        equal("append to a missing key", m.append("missing", "x").get(), false);
        equal("delete", m.delete("a").get(), true);
        equal("delete of a missing key", m.delete("a").get(), false);
        equal("touch", m.touch("b", 100).get(), true);
        equal("touch of a missing key", m.touch("missing", 100).get(), false);
    }

    static void checkValues(MemcachedClient m) throws Exception {
        Map<String, Object> values = new LinkedHashMap<>();
        values.put("empty", "");
        values.put("text", "h\u00e4\u00df \u2713");
        values.put("long", 123456789012L);
        values.put("true", true);
        values.put("list", new ArrayList<>(List.of(1, "two", 3.5)));
        values.put("k".repeat(250), "long");
        values.put("compressed", "squeeze me ".repeat(5000));
        for (int length : new int[] { 1, 1023, 4096, 16384, 65535, 65536, 200000, 1000000 }) {
            values.put("bytes" + length, bytes(length, length));
        }
        for (Map.Entry<String, Object> each : values.entrySet()) {
            equal("set of " + each.getKey(), m.set(each.getKey(), 100, each.getValue()).get(), true);
            equal("get of " + each.getKey(), m.get(each.getKey()), each.getValue());
        }
        SerializingTranscoder larger = new SerializingTranscoder(4 << 20);
        boolean isStored;
        try {
            isStored = m.set("text", 0, bytes(2 << 20, 1), larger).get();
        } catch (ExecutionException error) { // so in text
            isStored = false;
        }
        equal("too large a value", isStored, false);
        eventually("the client trusts the server again", () -> m.get("true"), true);
        equal("a refused value leaves nothing", m.get("text"), null);
    }

    static void checkCas(MemcachedClient m, boolean isBinary) throws Exception {
        m.set("c", 0, "old").get();
        CASValue<Object> found = m.gets("c");
        equal("gets", found.getValue(), "old");
        equal("cas", m.cas("c", found.getCas(), "new"), CASResponse.OK);
        equal("cas with an old number", m.cas("c", found.getCas(), "late"), CASResponse.EXISTS);
        equal("cas of a missing key", m.cas("missing", found.getCas(), "x"), CASResponse.NOT_FOUND);
        equal("the value after cas", m.get("c"), "new");
        equal("incr of a missing key", m.incr("nothing", 1), -1L);
        equal("incr with an initial value", m.incr("n", 5, 10), 10L);
        equal("incr", m.incr("n", 32), 42L);
        equal("decr", m.decr("n", 2), 40L);
        equal("decr stops at 0", m.decr("n", 100), 0L);
        equal("asyncIncr", m.asyncIncr("n", 7).get(), 7L);
        if (isBinary) {
            equal("getAndTouch", m.getAndTouch("c", 100).getValue(), "new");
        } else {
            skipped++;
            System.out.println("skipped getAndTouch: the client has it in binary only");
        }
    }

    // One connection: the client writes what it has, joins gets to one, and sorts the answers.
    static void checkPipeline(MemcachedClient m) throws Exception {
        Map<String, Object> many = new HashMap<>();
        List<OperationFuture<Boolean>> sets = new ArrayList<>();
        for (int i = 0; i < 1000; i++) {
            many.put("many" + i, "value " + i);
            sets.add(m.set("many" + i, 0, "value " + i));
        }
        int stored = 0;
        for (OperationFuture<Boolean> set : sets) {
            stored += set.get() ? 1 : 0;
        }
        equal("1000 sets at once", stored, 1000);
        List<String> keys = new ArrayList<>(many.keySet());
        keys.add("missing1");
        equal("getBulk", m.getBulk(keys), many);
        List<GetFuture<Object>> gets = new ArrayList<>();
        for (int i = 0; i < 1000; i++) {
            gets.add(m.asyncGet("many" + i));
        }
        int right = 0;
        for (int i = 0; i < 1000; i++) {
            right += ("value " + i).equals(gets.get(i).get()) ? 1 : 0;
        }
        equal("1000 gets at once", right, 1000);
        ExecutorService threads = Executors.newFixedThreadPool(4);
        List<Future<Boolean>> results = new ArrayList<>();
        for (int t = 0; t < 4; t++) {
            String key = "thread" + t;
            results.add(threads.submit(() -> {
                boolean isRight = true;
                for (int i = 0; i < 200; i++) {
                    isRight &= m.set(key, 0, "v" + i).get() && ("v" + i).equals(m.get(key));
                }
                return isRight;
            }));
        }
        for (Future<Boolean> result : results) {
            equal("four threads on one connection", result.get(), true);
        }
        threads.shutdown();
    }

    static void checkServer(MemcachedClient m) {
        equal("getVersions", m.getVersions().values().iterator().next().matches("1\\.6\\.\\d+"), true);
        Map<String, String> stats = m.getStats().values().iterator().next();
        equal("stats: curr_items", Integer.parseInt(stats.get("curr_items")) > 1000, true);
        equal("stats: threads", stats.get("threads"), "2");
        equal("stats settings", m.getStats("settings").values().iterator().next().containsKey("maxbytes"), true);
        equal("stats slabs", m.getStats("slabs").values().iterator().next().containsKey("active_slabs"), true);
    }

    public static void main(String[] args) throws Exception {
        Logger.getLogger("net.spy").setLevel(Level.OFF);
        System.setProperty("net.spy.log.LoggerImpl", "net.spy.memcached.compat.log.SunLogger");
        boolean isBinary = args[2].equals("binary");
        ConnectionFactory factory = new ConnectionFactoryBuilder()
            .setProtocol(isBinary ? ConnectionFactoryBuilder.Protocol.BINARY : ConnectionFactoryBuilder.Protocol.TEXT)
            .setOpTimeout(WAIT_MS).setMaxReconnectDelay(1).setDaemon(true).build();
        List<InetSocketAddress> addresses = List.of(new InetSocketAddress(args[0], Integer.parseInt(args[1])));
        MemcachedClient m = new MemcachedClient(factory, addresses);
        m.set("short_lived", 1, "x").get();
        checkStorage(m);
        checkValues(m);
        checkCas(m, isBinary);
        checkPipeline(m);
        checkServer(m);
        eventually("a value with an expiry goes", () -> m.get("short_lived"), null);
        equal("flush", m.flush().get(), true);
        equal("everything is gone", m.getBulk("many1", "many2").size(), 0);
        m.set("kept", 0, "1").get();
        System.out.println("restart");
        System.in.read();
        eventually("set after the restart", () -> m.set("fresh", 0, "2").get(), true);
        equal("get after the restart", m.get("fresh"), "2");
        equal("the new server is empty", m.get("kept"), null);
        System.out.printf("%d passed, %d failed, %d skipped%n", passed, failed, skipped);
        System.out.flush();
        System.exit(failed > 0 ? 1 : 0);
    }
}
