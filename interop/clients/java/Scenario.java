// The frame of one scenario: its connections and the names it declared, waits that end after
// WAIT_MS, assertions, and the clean-up. Main thread only. Names are unique to the run.
import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.ShutdownSignalException;
import java.io.IOException;
import java.net.Socket;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;

final class Scenario {
    interface Steps {
        void run(Scenario s) throws Exception;
    }

    interface Call {
        void run() throws IOException;
    }

    static final int WAIT_MS = 20000;
    private static final int POLL_MS = 5;
    private static final String RUN = "leveret.java." + UUID.randomUUID();

    private final ConnectionFactory factory = new ConnectionFactory();
    private final String prefix;
    private final List<Connection> connections = new ArrayList<>();
    private final Map<Connection, Socket> sockets = new HashMap<>();
    private final List<String> queues = new ArrayList<>();
    private final List<String> exchanges = new ArrayList<>();
    private Socket newest;

    private Scenario(String uri, String name) throws Exception {
        prefix = RUN + "." + name;
        factory.setUri(uri);
        factory.setConnectionTimeout(WAIT_MS);
        factory.setHandshakeTimeout(WAIT_MS);
        factory.setChannelRpcTimeout(WAIT_MS);
        factory.setAutomaticRecoveryEnabled(false);
        factory.setSocketConfigurator(socket -> {
            socket.setTcpNoDelay(true);
            newest = socket;
        });
    }

    static void check(String what, boolean holds) {
        if (!holds) {
            throw new IllegalStateException(what);
        }
    }

    static void same(String what, Object got, Object want) {
        check(what + ": got " + got + ", want " + want, Objects.equals(got, want));
    }

    /** The code with which the broker closes the channel on call, or 0 if it does not. */
    static int replyCode(Call call) {
        try {
            call.run();
            return 0;
        } catch (IOException error) {
            check("not a close: " + error, error.getCause() instanceof ShutdownSignalException);
            Object reason = ((ShutdownSignalException) error.getCause()).getReason();
            check("not a channel.close: " + reason, reason instanceof AMQP.Channel.Close);
            return ((AMQP.Channel.Close) reason).getReplyCode();
        }
    }

    String user() {
        return factory.getUsername();
    }

    /** A channel on a connection of its own. */
    Channel channel() throws Exception {
        Connection connection = factory.newConnection();
        connections.add(connection);
        sockets.put(connection, newest);
        return connection.createChannel();
    }

    void close(Channel channel) throws IOException {
        channel.getConnection().close(WAIT_MS);
    }

    /** The peer of channel dies: its socket ends without a close handshake. */
    void cut(Channel channel) throws IOException {
        sockets.get(channel.getConnection()).close();
    }

    String queue(Channel channel, String suffix, boolean durable) throws IOException {
        String name = prefix + "." + suffix;
        queues.add(name);
        AMQP.Queue.DeclareOk ok = channel.queueDeclare(name, durable, false, false, null);
        check("declare-ok: " + ok, ok.getQueue().equals(name) && ok.getMessageCount() == 0
            && ok.getConsumerCount() == 0);
        return name;
    }

    String exchange(Channel channel, String type) throws IOException {
        String name = prefix + ".x";
        exchanges.add(name);
        channel.exchangeDeclare(name, type);
        return name;
    }

    /** Polls, since RabbitMQ answers a passive declare ahead of queued publishes. */
    void waitReady(Channel channel, String queue, int messages, int consumers) throws Exception {
        long deadline = System.nanoTime() + WAIT_MS * 1000000L;
        for (;;) {
            AMQP.Queue.DeclareOk ok = channel.queueDeclarePassive(queue);
            if (ok.getMessageCount() == messages && ok.getConsumerCount() == consumers) {
                return;
            }
            check("timed out waiting for " + messages + " ready messages and " + consumers
                + " consumers: " + ok, System.nanoTime() < deadline);
            Thread.sleep(POLL_MS);
        }
    }

    private void cleanUp() throws Exception {
        for (Connection connection : connections) {
            if (connection.isOpen()) {
                connection.close(WAIT_MS);
            }
        }
        Channel channel = channel();
        for (String name : queues) {
            channel.queueDelete(name);
        }
        for (String name : exchanges) {
            channel.exchangeDelete(name);
        }
        close(channel);
    }

    /** Runs steps, cleans up, prints the outcome; true if both went well. */
    static boolean run(String uri, String name, Steps steps) {
        Scenario s;
        try {
            s = new Scenario(uri, name);
        } catch (Exception error) {
            System.out.println("not ok java " + name + ": " + error);
            return false;
        }
        String why = outcome(() -> steps.run(s));
        String late = outcome(s::cleanUp);
        if (why == null && late != null) {
            why = "clean-up: " + late;
        }
        System.out.println(why == null ? "ok java " + name : "not ok java " + name + ": " + why);
        return why == null;
    }

    private interface Step {
        void run() throws Exception;
    }

    private static String outcome(Step step) {
        try {
            step.run();
            return null;
        } catch (Exception error) {
            Throwable cause = error.getCause() == null ? error : error.getCause();
            String text = cause.toString();
            return text.substring(0, Math.min(300, text.length()));
        }
    }
}
