// The client interop scenarios with amqp091-go (see ../README for what each one proves).
//
// usage: interop URI [SCENARIO ...]
package main

import (
	"fmt"
	"math/big"
	"net/url"
	"os"
	"sort"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const directReplyTo = "amq.rabbitmq.reply-to"

var scenarios = []struct {
	name  string
	steps func(*scenario)
}{
	{"hello", hello}, {"work", work}, {"pubsub", pubsub}, {"routing", routing},
	{"topics", topics}, {"rpc", rpc}, {"confirms", confirms}, {"tx", tx}, {"returns", returns},
}

func hello(s *scenario) {
	p := s.connect()
	queue := s.queue(p, "q", false)
	address, err := url.Parse(s.uri)
	must("uri", err)
	first := amqp.Publishing{
		ContentType: "text/plain", ContentEncoding: "utf-8", DeliveryMode: 2, Priority: 3,
		Headers: amqp.Table{"n": int32(7), "flag": true, "s": "x",
			"nested": amqp.Table{"a": "b"}, "list": []interface{}{int64(1), "two"}},
		CorrelationId: "c-1", ReplyTo: "nowhere", Expiration: "60000", MessageId: "m-1",
		Timestamp: time.Unix(1700000000, 0), Type: "greeting", AppId: "interop",
		UserId: address.User.Username(), Body: []byte("Hello World!")}
	large := make([]byte, 1<<20)
	for i := range large {
		large[i] = byte(i * 31 % 251)
	}
	p.publish("", queue, first)
	p.publish("", queue, text(""))
	p.publish("", queue, amqp.Publishing{Body: large})
	s.waitReady(p, queue, 3, 0)
	got := take("3 messages", s.connect().consume(queue, true), 3)
	for i, body := range []string{"Hello World!", "", string(large)} {
		check(fmt.Sprintf("body %d", i), string(got[i].Body) == body)
		same("deliver", []interface{}{got[i].Exchange, got[i].RoutingKey, got[i].Redelivered},
			[]interface{}{"", queue, false})
	}
	d := got[0]
	same("properties", amqp.Publishing{
		Headers: d.Headers, ContentType: d.ContentType, ContentEncoding: d.ContentEncoding,
		DeliveryMode: d.DeliveryMode, Priority: d.Priority, CorrelationId: d.CorrelationId,
		ReplyTo: d.ReplyTo, Expiration: d.Expiration, MessageId: d.MessageId,
		Timestamp: d.Timestamp, Type: d.Type, AppId: d.AppId, UserId: d.UserId, Body: d.Body,
	}, first)
	same("no properties", []interface{}{got[1].Headers, got[1].ContentType},
		[]interface{}{amqp.Table(nil), ""})
	s.waitReady(p, queue, 0, 1)
}

func work(s *scenario) {
	publisher := s.connect()
	fairDispatch(s, publisher)
	redelivery(s, publisher)
}

func fairDispatch(s *scenario, publisher *peer) {
	queue := s.queue(publisher, "fair", true)
	fast, slow := s.connect(), s.connect()
	fast.prefetch(1)
	slow.prefetch(1)
	fastInbox, slowInbox := fast.consume(queue, false), slow.consume(queue, false)
	tasks := numbered("task %d", 20)
	for _, task := range tasks {
		publisher.publish("", queue, persistent(task))
	}
	held := take("a task for the slow worker", slowInbox, 1)
	done := []string{}
	for len(done) < 19 { // the slow worker sits on its first task all the while
		d := take("a task for the fast worker", fastInbox, 1)[0]
		done = append(done, string(d.Body))
		must("ack", d.Ack(false))
	}
	same("more tasks for the slow worker", slow.rest(slowInbox), []string{})
	must("ack", held[0].Ack(false))
	same("order", sort.SliceIsSorted(done, func(i, j int) bool {
		return position(tasks, done[i]) < position(tasks, done[j])
	}), true)
	all := append(done, bodies(held)...)
	sort.Slice(all, func(i, j int) bool { return position(tasks, all[i]) < position(tasks, all[j]) })
	same("all tasks once", all, tasks)
	must("close", fast.conn.Close())
	must("close", slow.conn.Close())
	s.waitReady(publisher, queue, 0, 0)
}

func position(all []string, one string) int {
	for i := range all {
		if all[i] == one {
			return i
		}
	}
	fail("not a task: %q", one)
	return -1
}

func redelivery(s *scenario, publisher *peer) {
	queue := s.queue(publisher, "dies", true)
	tasks := numbered("task %d", 5)
	for _, task := range tasks {
		publisher.publish("", queue, persistent(task))
	}
	dying := s.connect()
	dying.prefetch(3)
	inbox := dying.consume(queue, false)
	same("held", bodies(take("tasks to hold", inbox, 3)), tasks[:3])
	s.waitReady(publisher, queue, 2, 1)
	must("cut the socket", dying.socket.Close())
	s.waitReady(publisher, queue, 5, 0)
	heir := s.connect()
	heir.prefetch(5)
	got := take("5 tasks", heir.consume(queue, false), 5)
	same("tasks in order", bodies(got), tasks)
	for i, d := range got {
		same("redelivered "+tasks[i], d.Redelivered, i < 3)
	}
	must("ack", got[4].Ack(true))
	must("close", heir.conn.Close())
	s.waitReady(publisher, queue, 0, 0)
}

func pubsub(s *scenario) {
	publisher := s.connect()
	exchange := s.exchange(publisher, "fanout")
	publisher.publish(exchange, "", text("nobody listens yet"))
	must("basic.qos", publisher.Qos(0, 0, false)) // answered when that was routed
	var names [3]string
	var peers [3]*peer
	var inboxes [3]<-chan amqp.Delivery
	for i := range peers {
		peers[i] = s.connect()
		q, err := peers[i].QueueDeclare("", false, false, true, false, nil)
		must("declare", err)
		names[i] = q.Name
		check("server-named queue: "+q.Name, strings.HasPrefix(q.Name, "amq.gen-"))
		peers[i].bind(q.Name, exchange, "")
		inboxes[i] = peers[i].consume(q.Name, true)
	}
	check("distinct names", names[0] != names[1] && names[1] != names[2] && names[2] != names[0])
	logs := numbered("log %d", 10)
	for _, log := range logs {
		publisher.publish(exchange, "ignored", text(log))
	}
	for _, inbox := range inboxes {
		same("logs", bodies(take("10 logs", inbox, 10)), logs)
	}
	must("unbind", peers[2].QueueUnbind(names[2], "", exchange, nil))
	publisher.publish(exchange, "", text("last"))
	for _, inbox := range inboxes[:2] {
		same("last", bodies(take("the last log", inbox, 1)), []string{"last"})
	}
	for i, inbox := range inboxes {
		same("more logs", peers[i].rest(inbox), []string{})
	}
	s.waitReady(peers[2], names[2], 0, 0)
	_, err := publisher.QueueDeclarePassive(names[0], false, false, false, false, nil)
	closed, isClosed := err.(*amqp.Error)
	check("an exclusive queue was seen from another connection", isClosed)
	same("exclusive elsewhere", closed.Code, amqp.ResourceLocked)
}

func routing(s *scenario) {
	p := s.connect()
	exchange := s.exchange(p, "direct")
	errors, most := s.queue(p, "errors", false), s.queue(p, "most", false)
	p.bind(errors, exchange, "error")
	for _, severity := range []string{"info", "warning", "error", "error"} {
		p.bind(most, exchange, severity)
	}
	for _, severity := range []string{"info", "debug", "error", "warning", "error", "errors", ""} {
		p.publish(exchange, severity, text(severity))
	}
	same("errors", p.drain(errors), []string{"error", "error"})
	same("most", p.drain(most), []string{"info", "error", "warning", "error"})
	must("unbind", p.QueueUnbind(most, "error", exchange, nil))
	p.publish(exchange, "error", text("error"))
	p.publish(exchange, "info", text("info"))
	same("errors again", p.drain(errors), []string{"error"})
	same("most without error", p.drain(most), []string{"info"})
}

// topicKeys are published in this order; queues are those (besides "all") that get a copy.
var topicKeys = []struct{ key, queues string }{
	{"quick.orange.rabbit", "orange rabbit"}, {"lazy.orange.elephant", "orange rabbit"},
	{"quick.orange.fox", "orange"}, {"lazy.brown.fox", "rabbit"}, {"lazy.pink.rabbit", "rabbit"},
	{"quick.brown.fox", ""}, {"orange", ""}, {"quick.orange.new.rabbit", ""},
	{"lazy.orange.new.rabbit", "rabbit"}, {"lazy", "rabbit"}, {"", ""},
	{"last.orange.rabbit", "orange rabbit"},
}

func topics(s *scenario) {
	p := s.connect()
	exchange := s.exchange(p, "topic")
	patterns := map[string][]string{
		"orange": {"*.orange.*"}, "rabbit": {"*.*.rabbit", "lazy.#"}, "all": {"#"}}
	inboxes, consumers := map[string]<-chan amqp.Delivery{}, map[string]*peer{}
	for suffix, list := range patterns {
		queue := s.queue(p, suffix, false)
		for _, pattern := range list {
			p.bind(queue, exchange, pattern)
		}
		consumers[suffix] = s.connect()
		inboxes[suffix] = consumers[suffix].consume(queue, true)
	}
	for _, topic := range topicKeys {
		p.publish(exchange, topic.key, text(topic.key))
	}
	for suffix, inbox := range inboxes {
		want := []string{}
		for _, topic := range topicKeys {
			if suffix == "all" || strings.Contains(topic.queues, suffix) {
				want = append(want, topic.key)
			}
		}
		got := take(suffix, inbox, len(want))
		same(suffix, bodies(got), want)
		same("last "+suffix, got[len(got)-1].RoutingKey, "last.orange.rabbit")
		same("more for "+suffix, consumers[suffix].rest(inbox), []string{})
	}
}

func fib(n int64) string {
	a, b := big.NewInt(0), big.NewInt(1)
	for ; n > 0; n-- {
		a.Add(a, b)
		a, b = b, a
	}
	return a.String()
}

func rpc(s *scenario) {
	server := s.connect()
	queue := s.queue(server, "rpc", false)
	requests := server.consume(queue, false)
	exclusive, direct := s.connect(), s.connect()
	q, err := exclusive.QueueDeclare("", false, false, true, false, nil)
	must("declare", err)
	clients := []*peer{exclusive, direct}
	replyTo := []string{q.Name, directReplyTo}
	var replies []<-chan amqp.Delivery
	for i, client := range clients {
		replies = append(replies, client.consume(replyTo[i], true))
	}
	for n := 0; n < 16; n++ { // both use the same correlation ids, for different questions
		for i, client := range clients {
			msg := text(fmt.Sprint(n + 20*i))
			msg.ReplyTo, msg.CorrelationId = replyTo[i], fmt.Sprintf("id-%d", n)
			client.publish("", queue, msg)
		}
	}
	asked := take("32 requests", requests, 32)
	for i := len(asked) - 1; i >= 0; i-- {
		answer(server, asked[i], q.Name)
	}
	for i := range clients {
		for k, d := range take("16 replies", replies[i], 16) {
			n := 15 - k
			same("answer", []string{d.CorrelationId, string(d.Body)},
				[]string{fmt.Sprintf("id-%d", n), fib(int64(n + 20*i))})
		}
		same("more replies", clients[i].rest(replies[i]), []string{})
	}
	s.waitReady(server, queue, 0, 1)
}

func answer(server *peer, request amqp.Delivery, exclusive string) {
	check("reply_to: "+request.ReplyTo,
		request.ReplyTo == exclusive || strings.HasPrefix(request.ReplyTo, directReplyTo+"."))
	var n int64
	_, err := fmt.Sscan(string(request.Body), &n)
	must("question", err)
	reply := text(fib(n))
	reply.CorrelationId = request.CorrelationId
	server.publish("", request.ReplyTo, reply)
	must("ack", request.Ack(false))
}

func confirms(s *scenario) {
	p := s.connect()
	queue := s.queue(p, "q", true)
	must("confirm.select", p.Confirm(false))
	confirmed := p.NotifyPublish(make(chan amqp.Confirmation, 256))
	want := append(numbered("one %d", 10), numbered("batch %d", 200)...)
	for i, body := range want[:10] {
		p.publish("", queue, persistent(body))
		awaitConfirms(confirmed, i+1, 1)
	}
	p.publish("", queue+".absent", text("unroutable is confirmed too"))
	awaitConfirms(confirmed, 11, 1)
	s.waitReady(p, queue, 10, 0)
	for _, body := range want[10:] {
		p.publish("", queue, persistent(body))
	}
	awaitConfirms(confirmed, 12, 200)
	same("contents", p.drain(queue), want)
	same("more confirms", len(confirmed), 0)
}

// awaitConfirms takes the confirms of count publishes, numbered from first; the library gives
// them one by one and in order, whether the broker confirmed singly or with multiple.
func awaitConfirms(confirmed <-chan amqp.Confirmation, first, count int) {
	limit := time.After(waitLimit)
	for tag := first; tag < first+count; tag++ {
		select {
		case c := <-confirmed:
			same("confirm", c, amqp.Confirmation{DeliveryTag: uint64(tag), Ack: true})
		case <-limit:
			fail("timed out waiting for confirm %d", tag)
		}
	}
}

func tx(s *scenario) {
	p, other := s.connect(), s.connect()
	queue := s.queue(p, "q", false)
	must("tx.select", p.Tx())
	want := numbered("committed %d", 3)
	for _, body := range want {
		p.publish("", queue, text(body))
	}
	same("before commit, here", p.drain(queue), []string{})
	same("before commit, elsewhere", other.drain(queue), []string{})
	must("tx.commit", p.TxCommit())
	same("after commit", other.drain(queue), want)
	p.publish("", queue, text("rolled back"))
	must("tx.rollback", p.TxRollback())
	must("tx.commit", p.TxCommit())
	same("after rollback", other.drain(queue), []string{})
	other.publish("", queue, text("job"))
	s.waitReady(other, queue, 1, 0)
	same("rolled back ack", txAck(s, queue, (*amqp.Channel).TxRollback), false)
	s.waitReady(other, queue, 1, 0)
	same("committed ack", txAck(s, queue, (*amqp.Channel).TxCommit), true)
	s.waitReady(other, queue, 0, 0)
}

// txAck acknowledges the job in a transaction that ends with finish, then disconnects; it tells
// whether the job had been redelivered.
func txAck(s *scenario, queue string, finish func(*amqp.Channel) error) bool {
	p := s.connect()
	must("tx.select", p.Tx())
	d, ok, err := p.Get(queue, false)
	must("get", err)
	check("nothing to get", ok)
	same("job", string(d.Body), "job")
	must("ack", d.Ack(false))
	must("finish", finish(p.Channel))
	must("close", p.conn.Close())
	return d.Redelivered
}

func returns(s *scenario) {
	p := s.connect()
	queue := s.queue(p, "q", false)
	exchange := s.exchange(p, "direct")
	p.bind(queue, exchange, "bound")
	returned := p.NotifyReturn(make(chan amqp.Return, 16))
	sent := []struct {
		exchange, key string
		mandatory     bool
	}{{exchange, "bound", true}, {exchange, "unbound", false}, {exchange, "unbound", true},
		{"", queue + ".absent", true}}
	for i, to := range sent {
		msg := text(fmt.Sprintf("message %d", i))
		msg.MessageId = fmt.Sprintf("m-%d", i)
		must("publish", p.Publish(to.exchange, to.key, to.mandatory, false, msg))
	}
	same("routed", p.drain(queue), []string{"message 0"})
	for _, i := range []int{2, 3} {
		r := awaitReturn(returned)
		same("return", []interface{}{r.ReplyCode, r.ReplyText}, []interface{}{uint16(312), "NO_ROUTE"})
		same("where", []string{r.Exchange, r.RoutingKey}, []string{sent[i].exchange, sent[i].key})
		same("message", []string{r.MessageId, string(r.Body)},
			[]string{fmt.Sprintf("m-%d", i), fmt.Sprintf("message %d", i)})
	}
	must("confirm.select", p.Confirm(false))
	confirmed := p.NotifyPublish(make(chan amqp.Confirmation, 1))
	must("publish", p.Publish(exchange, "unbound", true, false, text("with confirms")))
	awaitConfirms(confirmed, 1, 1)
	same("returned before its confirm", len(returned), 1)
	same("with confirms", string(awaitReturn(returned).Body), "with confirms")
}

func awaitReturn(returned <-chan amqp.Return) amqp.Return {
	select {
	case r := <-returned:
		return r
	case <-time.After(waitLimit):
		fail("timed out waiting for a return")
		return amqp.Return{}
	}
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: interop URI [SCENARIO ...]")
		os.Exit(2)
	}
	wanted := map[string]bool{}
	for _, name := range os.Args[2:] {
		wanted[name] = true
	}
	passed := true
	for _, one := range scenarios {
		if len(os.Args) == 2 || wanted[one.name] {
			passed = run(os.Args[1], one.name, one.steps) && passed
			delete(wanted, one.name)
		}
	}
	for name := range wanted {
		fmt.Fprintf(os.Stderr, "interop: no such scenario: %s\n", name)
		passed = false
	}
	if !passed {
		os.Exit(1)
	}
}
