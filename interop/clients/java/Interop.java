// The client interop scenarios with the RabbitMQ Java client (see ../README for what each proves).
//
// usage: java Interop URI [SCENARIO ...]
//
// Scenarios run one after another on the main thread; the library's threads only fill Inboxes.
import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.GetResponse;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Date;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

public final class Interop {
    private static final String DIRECT_REPLY_TO = "amq.rabbitmq.reply-to";
    private static final AMQP.BasicProperties NONE = new AMQP.BasicProperties();
    private static final AMQP.BasicProperties PERSISTENT =
        new AMQP.BasicProperties.Builder().deliveryMode(2).build();

    private static final Map<String, Scenario.Steps> SCENARIOS = new LinkedHashMap<>();

    static {
        SCENARIOS.put("hello", Interop::hello);
        SCENARIOS.put("work", Interop::work);
        SCENARIOS.put("pubsub", Interop::pubsub);
        SCENARIOS.put("routing", Interop::routing);
        SCENARIOS.put("topics", Interop::topics);
        SCENARIOS.put("rpc", Interop::rpc);
        SCENARIOS.put("confirms", Interop::confirms);
        SCENARIOS.put("tx", Interop::tx);
        SCENARIOS.put("returns", Interop::returns);
    }

    private Interop() {
    }

    private static void publish(Channel channel, String exchange, String key, String body)
        throws IOException {
        channel.basicPublish(exchange, key, NONE, bytes(body));
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static List<String> numbered(String prefix, int count) {
        List<String> all = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            all.add(prefix + " " + i);
        }
        return all;
    }

    private static List<String> drain(Channel channel, String queue) throws IOException {
        List<String> bodies = new ArrayList<>();
        for (;;) {
            GetResponse got = channel.basicGet(queue, true);
            if (got == null) {
                return bodies;
            }
            bodies.add(new String(got.getBody(), StandardCharsets.UTF_8));
        }
    }

    private static void hello(Scenario s) throws Exception {
        Channel channel = s.channel();
        String queue = s.queue(channel, "q", false);
        Map<String, Object> headers = new HashMap<>();
        headers.put("n", 7);
        headers.put("flag", true);
        AMQP.BasicProperties properties = new AMQP.BasicProperties.Builder()
            .contentType("text/plain").contentEncoding("utf-8").deliveryMode(2).priority(3)
            .headers(headers).correlationId("c-1").replyTo("nowhere").expiration("60000")
            .messageId("m-1").timestamp(new Date(1700000000000L)).type("greeting")
            .appId("interop").userId(s.user()).build();
        byte[] large = new byte[1 << 20];
        for (int i = 0; i < large.length; i++) {
            large[i] = (byte) (i * 31 % 251);
        }
        channel.basicPublish("", queue, properties, bytes("Hello World!"));
        publish(channel, "", queue, "");
        channel.basicPublish("", queue, NONE, large);
        s.waitReady(channel, queue, 3, 0);
        List<Inbox.Message> got = new Inbox(s.channel(), queue, true).take("3 messages", 3);
        Scenario.same("first", got.get(0).text(), "Hello World!");
        Scenario.same("second", got.get(1).text(), "");
        Scenario.check("the large body differs", Arrays.equals(got.get(2).body, large));
        for (Inbox.Message m : got) {
            Scenario.same("deliver", Arrays.asList(m.envelope.getExchange(),
                m.envelope.getRoutingKey(), m.envelope.isRedeliver()),
                Arrays.asList("", queue, false));
        }
        AMQP.BasicProperties back = got.get(0).properties;
        Scenario.same("headers", back.getHeaders(), headers);
        Scenario.same("properties", back.builder().headers(null).build().toString(),
            properties.builder().headers(null).build().toString());
        Scenario.same("no properties", got.get(1).properties.toString(), NONE.toString());
        s.waitReady(channel, queue, 0, 1);
    }

    private static void work(Scenario s) throws Exception {
        Channel publisher = s.channel();
        fairDispatch(s, publisher);
        redelivery(s, publisher);
    }

    private static void fairDispatch(Scenario s, Channel publisher) throws Exception {
        String queue = s.queue(publisher, "fair", true);
        Channel fast = s.channel();
        Channel slow = s.channel();
        fast.basicQos(1);
        slow.basicQos(1);
        Inbox fastInbox = new Inbox(fast, queue, false);
        Inbox slowInbox = new Inbox(slow, queue, false);
        List<String> tasks = numbered("task", 20);
        for (String task : tasks) {
            publisher.basicPublish("", queue, PERSISTENT, bytes(task));
        }
        Inbox.Message held = slowInbox.take("a task for the slow worker", 1).get(0);
        List<String> done = new ArrayList<>();
        while (done.size() < 19) { // the slow worker sits on its first task all the while
            Inbox.Message m = fastInbox.take("a task for the fast worker", 1).get(0);
            Scenario.same("more held by the fast worker", fastInbox.size(), 0);
            done.add(m.text());
            fast.basicAck(m.envelope.getDeliveryTag(), false);
        }
        Scenario.same("more tasks for the slow worker", slowInbox.rest(),
            Collections.emptyList());
        slow.basicAck(held.envelope.getDeliveryTag(), false);
        tasks.remove(held.text());
        Scenario.same("all other tasks in order", done, tasks);
        s.close(fast);
        s.close(slow);
        s.waitReady(publisher, queue, 0, 0);
    }

    private static void redelivery(Scenario s, Channel publisher) throws Exception {
        String queue = s.queue(publisher, "dies", true);
        List<String> tasks = numbered("task", 5);
        for (String task : tasks) {
            publisher.basicPublish("", queue, PERSISTENT, bytes(task));
        }
        Channel dying = s.channel();
        dying.basicQos(3);
        List<Inbox.Message> held = new Inbox(dying, queue, false).take("tasks to hold", 3);
        s.waitReady(publisher, queue, 2, 1);
        Scenario.same("held", Inbox.texts(held), tasks.subList(0, 3));
        s.cut(dying);
        s.waitReady(publisher, queue, 5, 0);
        Channel heir = s.channel();
        heir.basicQos(5);
        List<Inbox.Message> got = new Inbox(heir, queue, false).take("5 tasks", 5);
        Scenario.same("tasks in order", Inbox.texts(got), tasks);
        for (int i = 0; i < 5; i++) {
            Scenario.same("redelivered " + i, got.get(i).envelope.isRedeliver(), i < 3);
        }
        heir.basicAck(got.get(4).envelope.getDeliveryTag(), true);
        s.close(heir);
        s.waitReady(publisher, queue, 0, 0);
    }

    private static void pubsub(Scenario s) throws Exception {
        Channel publisher = s.channel();
        String exchange = s.exchange(publisher, "fanout");
        publish(publisher, exchange, "", "nobody listens yet");
        publisher.basicQos(0); // answered when that was routed
        List<String> names = new ArrayList<>();
        List<Inbox> inboxes = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            Channel channel = s.channel();
            String name = channel.queueDeclare().getQueue();
            Scenario.check("server-named queue: " + name, name.startsWith("amq.gen-"));
            channel.queueBind(name, exchange, "");
            names.add(name);
            inboxes.add(new Inbox(channel, name, true));
        }
        Scenario.same("distinct names", new HashSet<>(names).size(), 3);
        List<String> logs = numbered("log", 10);
        for (String log : logs) {
            publish(publisher, exchange, "ignored", log);
        }
        for (Inbox inbox : inboxes) {
            Scenario.same("logs", Inbox.texts(inbox.take("10 logs", 10)), logs);
        }
        inboxes.get(2).channel.queueUnbind(names.get(2), exchange, "");
        publish(publisher, exchange, "", "last");
        for (Inbox inbox : inboxes.subList(0, 2)) {
            Scenario.same("last", inbox.take("the last log", 1).get(0).text(), "last");
        }
        Scenario.same("exclusive elsewhere",
            Scenario.replyCode(() -> publisher.queueDeclarePassive(names.get(0))), 405);
        for (int i = 0; i < 3; i++) {
            Scenario.same("more logs", inboxes.get(i).rest(), Collections.emptyList());
            String name = names.get(i);
            Channel owner = inboxes.get(i).channel;
            Scenario.same("auto-deleted with its last consumer",
                Scenario.replyCode(() -> owner.queueDeclarePassive(name)), 404);
        }
    }

    private static void routing(Scenario s) throws Exception {
        Channel channel = s.channel();
        String exchange = s.exchange(channel, "direct");
        String errors = s.queue(channel, "errors", false);
        String most = s.queue(channel, "most", false);
        channel.queueBind(errors, exchange, "error");
        for (String severity : Arrays.asList("info", "warning", "error", "error")) {
            channel.queueBind(most, exchange, severity);
        }
        for (String severity : Arrays.asList("info", "debug", "error", "warning", "error",
                                             "errors", "")) {
            publish(channel, exchange, severity, severity);
        }
        Scenario.same("errors", drain(channel, errors), Arrays.asList("error", "error"));
        Scenario.same("most", drain(channel, most),
            Arrays.asList("info", "error", "warning", "error"));
        channel.queueUnbind(most, exchange, "error");
        publish(channel, exchange, "error", "error");
        publish(channel, exchange, "info", "info");
        Scenario.same("errors again", drain(channel, errors), Arrays.asList("error"));
        Scenario.same("most without error", drain(channel, most), Arrays.asList("info"));
    }

    /** Published in this order; beside each the queues, besides all, that get a copy. */
    private static final String[][] TOPIC_KEYS = {
        {"quick.orange.rabbit", "orange rabbit"}, {"lazy.orange.elephant", "orange rabbit"},
        {"quick.orange.fox", "orange"}, {"lazy.brown.fox", "rabbit"},
        {"lazy.pink.rabbit", "rabbit"}, {"quick.brown.fox", ""}, {"orange", ""},
        {"quick.orange.new.rabbit", ""}, {"lazy.orange.new.rabbit", "rabbit"},
        {"lazy", "rabbit"}, {"", ""}, {"last.orange.rabbit", "orange rabbit"},
    };

    private static void topics(Scenario s) throws Exception {
        Channel channel = s.channel();
        String exchange = s.exchange(channel, "topic");
        String[][] bindings = {
            {"orange", "*.orange.*"}, {"rabbit", "*.*.rabbit", "lazy.#"}, {"all", "#"}};
        Map<String, Inbox> inboxes = new HashMap<>();
        for (String[] binding : bindings) {
            String queue = s.queue(channel, binding[0], false);
            for (String pattern : Arrays.asList(binding).subList(1, binding.length)) {
                channel.queueBind(queue, exchange, pattern);
            }
            inboxes.put(binding[0], new Inbox(s.channel(), queue, true));
        }
        for (String[] topic : TOPIC_KEYS) {
            publish(channel, exchange, topic[0], topic[0]);
        }
        for (Map.Entry<String, Inbox> entry : inboxes.entrySet()) {
            String suffix = entry.getKey();
            List<String> want = new ArrayList<>();
            for (String[] topic : TOPIC_KEYS) {
                if (suffix.equals("all") || topic[1].contains(suffix)) {
                    want.add(topic[0]);
                }
            }
            List<Inbox.Message> got = entry.getValue().take(suffix, want.size());
            Scenario.same(suffix, Inbox.texts(got), want);
            for (Inbox.Message m : got) {
                Scenario.same("routing key", m.envelope.getRoutingKey(), m.text());
            }
            Scenario.same("more for " + suffix, entry.getValue().rest(),
                Collections.emptyList());
        }
    }

    private static String fib(int n) {
        BigInteger a = BigInteger.ZERO;
        BigInteger b = BigInteger.ONE;
        for (int i = 0; i < n; i++) {
            BigInteger next = a.add(b);
            a = b;
            b = next;
        }
        return a.toString();
    }

    private static void rpc(Scenario s) throws Exception {
        Channel server = s.channel();
        String queue = s.queue(server, "rpc", false);
        Inbox requests = new Inbox(server, queue, false);
        List<Channel> clients = Arrays.asList(s.channel(), s.channel());
        List<String> replyTo =
            Arrays.asList(clients.get(0).queueDeclare().getQueue(), DIRECT_REPLY_TO);
        List<Inbox> replies = Arrays.asList(new Inbox(clients.get(0), replyTo.get(0), true),
            new Inbox(clients.get(1), replyTo.get(1), true));
        for (int n = 0; n < 16; n++) { // both use the same correlation ids, differently
            for (int i = 0; i < 2; i++) {
                clients.get(i).basicPublish("", queue, new AMQP.BasicProperties.Builder()
                    .replyTo(replyTo.get(i)).correlationId("id-" + n).build(),
                    bytes(String.valueOf(n + 20 * i)));
            }
        }
        List<Inbox.Message> asked = requests.take("32 requests", 32);
        Collections.reverse(asked);
        for (Inbox.Message request : asked) {
            answer(server, request, replyTo.get(0));
        }
        for (int i = 0; i < 2; i++) {
            int n = 15;
            for (Inbox.Message reply : replies.get(i).take("16 replies", 16)) {
                Scenario.same("answer",
                    Arrays.asList(reply.properties.getCorrelationId(), reply.text()),
                    Arrays.asList("id-" + n, fib(n + 20 * i)));
                n--;
            }
            Scenario.same("more replies", replies.get(i).rest(), Collections.emptyList());
        }
        s.waitReady(server, queue, 0, 1);
    }

    private static void answer(Channel server, Inbox.Message request, String exclusive)
        throws IOException {
        String to = request.properties.getReplyTo();
        Scenario.check("reply_to: " + to,
            to.equals(exclusive) || to.startsWith(DIRECT_REPLY_TO + "."));
        server.basicPublish("", to, new AMQP.BasicProperties.Builder()
            .correlationId(request.properties.getCorrelationId()).build(),
            bytes(fib(Integer.parseInt(request.text()))));
        server.basicAck(request.envelope.getDeliveryTag(), false);
    }

    private static void confirms(Scenario s) throws Exception {
        Channel channel = s.channel();
        String queue = s.queue(channel, "q", true);
        channel.confirmSelect();
        List<String> want = numbered("one", 10);
        for (String body : want) {
            channel.basicPublish("", queue, PERSISTENT, bytes(body));
            channel.waitForConfirmsOrDie(Scenario.WAIT_MS);
        }
        publish(channel, "", queue + ".absent", "unroutable is confirmed too");
        channel.waitForConfirmsOrDie(Scenario.WAIT_MS);
        s.waitReady(channel, queue, 10, 0);
        LinkedBlockingQueue<long[]> confirmed = new LinkedBlockingQueue<>();
        channel.addConfirmListener(
            (tag, multiple) -> confirmed.add(new long[] {tag, multiple ? 1 : 0, 1}),
            (tag, multiple) -> confirmed.add(new long[] {tag, multiple ? 1 : 0, 0}));
        List<String> batch = numbered("batch", 200);
        for (String body : batch) {
            channel.basicPublish("", queue, PERSISTENT, bytes(body));
        }
        awaitConfirms(confirmed, 12, 211);
        want.addAll(batch);
        Scenario.same("contents", drain(channel, queue), want);
        Scenario.same("more confirms", confirmed.size(), 0);
    }

    /** Takes confirms, single and multiple, until each tag from first to last had one. */
    private static void awaitConfirms(LinkedBlockingQueue<long[]> confirmed, long first, long last)
        throws InterruptedException {
        TreeSet<Long> open = new TreeSet<>();
        for (long tag = first; tag <= last; tag++) {
            open.add(tag);
        }
        while (!open.isEmpty()) {
            long[] confirm = confirmed.poll(Scenario.WAIT_MS, TimeUnit.MILLISECONDS);
            Scenario.check("timed out waiting for confirms: " + open, confirm != null);
            Scenario.check("nack of " + confirm[0], confirm[2] == 1);
            Scenario.check("confirmed twice: " + confirm[0], open.remove(confirm[0]));
            if (confirm[1] == 1) {
                open.headSet(confirm[0]).clear();
            }
        }
    }

    private static void tx(Scenario s) throws Exception {
        Channel channel = s.channel();
        Channel other = s.channel();
        String queue = s.queue(channel, "q", false);
        List<String> want = numbered("committed", 3);
        channel.txSelect();
        for (String body : want) {
            publish(channel, "", queue, body);
        }
        Scenario.same("before commit, here", drain(channel, queue), Collections.emptyList());
        Scenario.same("before commit, elsewhere", drain(other, queue), Collections.emptyList());
        channel.txCommit();
        Scenario.same("after commit", drain(other, queue), want);
        publish(channel, "", queue, "rolled back");
        channel.txRollback();
        channel.txCommit();
        Scenario.same("after rollback", drain(other, queue), Collections.emptyList());
        publish(other, "", queue, "job");
        s.waitReady(other, queue, 1, 0);
        Scenario.same("rolled back ack", txAck(s, queue, false), false);
        s.waitReady(other, queue, 1, 0);
        Scenario.same("committed ack", txAck(s, queue, true), true);
        s.waitReady(other, queue, 0, 0);
    }

    /** Acknowledges the job in a transaction, ends both; tells whether it was redelivered. */
    private static boolean txAck(Scenario s, String queue, boolean commit) throws Exception {
        Channel channel = s.channel();
        channel.txSelect();
        GetResponse got = channel.basicGet(queue, false);
        Scenario.check("nothing to get", got != null);
        Scenario.same("job", new String(got.getBody(), StandardCharsets.UTF_8), "job");
        channel.basicAck(got.getEnvelope().getDeliveryTag(), false);
        if (commit) {
            channel.txCommit();
        } else {
            channel.txRollback();
        }
        s.close(channel);
        return got.getEnvelope().isRedeliver();
    }

    private static void returns(Scenario s) throws Exception {
        Channel channel = s.channel();
        String queue = s.queue(channel, "q", false);
        String exchange = s.exchange(channel, "direct");
        channel.queueBind(queue, exchange, "bound");
        LinkedBlockingQueue<List<Object>> returned = new LinkedBlockingQueue<>();
        channel.addReturnListener((code, text, where, key, properties, body) ->
            returned.add(Arrays.asList(code, text, where, key, properties.getMessageId(),
                new String(body, StandardCharsets.UTF_8))));
        String[][] sent = {{exchange, "bound", "mandatory"}, {exchange, "unbound", ""},
            {exchange, "unbound", "mandatory"}, {"", queue + ".absent", "mandatory"}};
        for (int i = 0; i < sent.length; i++) {
            channel.basicPublish(sent[i][0], sent[i][1], sent[i][2].equals("mandatory"),
                new AMQP.BasicProperties.Builder().messageId("m-" + i).build(),
                bytes("message " + i));
        }
        Scenario.same("routed", drain(channel, queue), Arrays.asList("message 0"));
        for (int i = 2; i <= 3; i++) {
            Scenario.same("return", returned.poll(Scenario.WAIT_MS, TimeUnit.MILLISECONDS),
                Arrays.<Object>asList(312, "NO_ROUTE", sent[i][0], sent[i][1], "m-" + i,
                    "message " + i));
        }
        channel.confirmSelect();
        channel.basicPublish(exchange, "unbound", true, NONE, bytes("with confirms"));
        channel.waitForConfirmsOrDie(Scenario.WAIT_MS);
        Scenario.same("returned before its confirm", returned.size(), 1);
        Scenario.same("with confirms", returned.poll(),
            Arrays.<Object>asList(312, "NO_ROUTE", exchange, "unbound", null, "with confirms"));
    }

    public static void main(String[] arguments) {
        List<String> wanted = Arrays.asList(arguments).subList(Math.min(1, arguments.length),
            arguments.length);
        if (arguments.length == 0 || !SCENARIOS.keySet().containsAll(wanted)) {
            System.err.println("usage: Interop URI [SCENARIO ...] of " + SCENARIOS.keySet());
            System.exit(2);
        }
        boolean passed = true;
        for (Map.Entry<String, Scenario.Steps> one : SCENARIOS.entrySet()) {
            if (wanted.isEmpty() || wanted.contains(one.getKey())) {
                passed &= Scenario.run(arguments[0], one.getKey(), one.getValue());
            }
        }
        System.exit(passed ? 0 : 1);
    }
}
