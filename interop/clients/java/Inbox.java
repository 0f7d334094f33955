// A consumer that keeps what it is sent until it is taken. The library's thread adds, the main
// thread takes. One inbox to a channel.
import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.Envelope;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

final class Inbox extends DefaultConsumer {
    static final class Message {
        final Envelope envelope;
        final AMQP.BasicProperties properties;
        final byte[] body;

        Message(Envelope envelope, AMQP.BasicProperties properties, byte[] body) {
            this.envelope = envelope;
            this.properties = properties;
            this.body = body;
        }

        String text() {
            return new String(body, StandardCharsets.UTF_8);
        }
    }

    final Channel channel;
    private final String tag;
    private final LinkedBlockingQueue<Message> messages = new LinkedBlockingQueue<>();
    private final CountDownLatch cancelled = new CountDownLatch(1);

    Inbox(Channel channel, String queue, boolean autoAck) throws IOException {
        super(channel);
        this.channel = channel;
        this.tag = channel.basicConsume(queue, autoAck, this);
    }

    @Override
    public void handleDelivery(String consumerTag, Envelope envelope,
                               AMQP.BasicProperties properties, byte[] body) {
        messages.add(new Message(envelope, properties, body));
    }

    @Override
    public void handleCancelOk(String consumerTag) {
        cancelled.countDown();
    }

    /** Takes count messages, waiting for them. */
    List<Message> take(String what, int count) throws InterruptedException {
        List<Message> taken = new ArrayList<>();
        while (taken.size() < count) {
            Message message = messages.poll(Scenario.WAIT_MS, TimeUnit.MILLISECONDS);
            Scenario.check("timed out waiting for " + what + ", have " + taken.size(),
                message != null);
            taken.add(message);
        }
        return taken;
    }

    int size() {
        return messages.size();
    }

    /** Cancels the consumer; gives what it had been sent beyond what was taken. */
    List<String> rest() throws IOException, InterruptedException {
        channel.basicCancel(tag);
        Scenario.check("timed out waiting for cancel-ok",
            cancelled.await(Scenario.WAIT_MS, TimeUnit.MILLISECONDS));
        return texts(new ArrayList<>(messages));
    }

    static List<String> texts(List<Message> messages) {
        List<String> all = new ArrayList<>();
        for (Message message : messages) {
            all.add(message.text());
        }
        return all;
    }
}
