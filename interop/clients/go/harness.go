// The frame of the client interop program in Go: one scenario's connections and names, waits that
// end after waitLimit, and assertions. An assertion that fails panics with a failure, which run()
// turns into "not ok". Scenarios run one after another on the main goroutine; the library waits for
// answers without limit, so a scenario that is not over after scenarioLimit ends the program.
package main

import (
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"reflect"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	waitLimit     = 20 * time.Second
	scenarioLimit = time.Minute
	pollEvery     = 5 * time.Millisecond

	consumerTag = "interop"
)

var runName = newRunName()

type failure string

// peer is one connection with one channel, and the socket beneath it.
type peer struct {
	*amqp.Channel
	conn   *amqp.Connection
	socket net.Conn
}

// scenario owns what one scenario opens and declares.
type scenario struct {
	uri, prefix       string
	peers             []*peer
	queues, exchanges []string
}

func newRunName() string {
	random := make([]byte, 4)
	if _, err := rand.Read(random); err != nil {
		panic(err)
	}
	return fmt.Sprintf("leveret.go.%d-%x", os.Getpid(), random)
}

func fail(format string, args ...interface{}) {
	panic(failure(fmt.Sprintf(format, args...)))
}

func must(what string, err error) {
	if err != nil {
		fail("%s: %v", what, err)
	}
}

func check(what string, holds bool) {
	if !holds {
		fail("%s", what)
	}
}

func same(what string, got, want interface{}) {
	if !reflect.DeepEqual(got, want) {
		fail("%s: got %.200v, want %.200v", what, got, want)
	}
}

func (s *scenario) connect() *peer {
	p := &peer{}
	var err error
	p.conn, err = amqp.DialConfig(s.uri, amqp.Config{
		Heartbeat: 10 * time.Second,
		Dial: func(network, addr string) (net.Conn, error) {
			dialed, err := amqp.DefaultDial(waitLimit)(network, addr)
			p.socket = dialed
			return dialed, err
		},
	})
	must("connect", err)
	s.peers = append(s.peers, p)
	p.Channel, err = p.conn.Channel()
	must("channel", err)
	return p
}

func (s *scenario) queue(p *peer, suffix string, durable bool) string {
	name := s.prefix + "." + suffix
	s.queues = append(s.queues, name)
	q, err := p.QueueDeclare(name, durable, false, false, false, nil)
	must("queue.declare", err)
	same("declare-ok", q, amqp.Queue{Name: name})
	return name
}

func (s *scenario) exchange(p *peer, kind string) string {
	name := s.prefix + ".x"
	s.exchanges = append(s.exchanges, name)
	must("exchange.declare", p.ExchangeDeclare(name, kind, false, false, false, false, nil))
	return name
}

// waitReady polls, since RabbitMQ answers a passive declare ahead of queued publishes.
func (s *scenario) waitReady(p *peer, queue string, messages, consumers int) {
	want := amqp.Queue{Name: queue, Messages: messages, Consumers: consumers}
	var got amqp.Queue
	for deadline := time.Now().Add(waitLimit); time.Now().Before(deadline); time.Sleep(pollEvery) {
		var err error
		got, err = p.QueueDeclarePassive(queue, false, false, false, false, nil)
		must("passive declare", err)
		if got == want {
			return
		}
	}
	fail("timed out waiting for %v, have %v", want, got)
}

func (s *scenario) cleanUp() {
	for _, p := range s.peers {
		if !p.conn.IsClosed() {
			must("close", p.conn.Close())
		}
	}
	p := s.connect()
	for _, name := range s.queues {
		_, err := p.QueueDelete(name, false, false, false)
		must("queue.delete", err)
	}
	for _, name := range s.exchanges {
		must("exchange.delete", p.ExchangeDelete(name, false, false))
	}
	must("close", p.conn.Close())
}

func (p *peer) publish(exchange, key string, msg amqp.Publishing) {
	must("publish", p.Publish(exchange, key, false, false, msg))
}

// consume starts the only consumer of the peer's channel.
func (p *peer) consume(queue string, autoAck bool) <-chan amqp.Delivery {
	deliveries, err := p.Consume(queue, consumerTag, autoAck, false, false, false, nil)
	must("consume", err)
	return deliveries
}

// rest cancels the consumer and gives the bodies of what had still been sent to it.
func (p *peer) rest(from <-chan amqp.Delivery) []string {
	must("cancel", p.Cancel(consumerTag, false))
	left := []string{}
	limit := time.After(waitLimit)
	for {
		select {
		case d, open := <-from:
			if !open {
				return left
			}
			left = append(left, string(d.Body))
		case <-limit:
			fail("timed out waiting for the consumer to end")
		}
	}
}

func (p *peer) prefetch(count int) {
	must("qos", p.Qos(count, 0, false))
}

func (p *peer) bind(queue, exchange, key string) {
	must("bind", p.QueueBind(queue, key, exchange, false, nil))
}

func (p *peer) drain(queue string) []string {
	bodies := []string{}
	for {
		d, ok, err := p.Get(queue, true)
		must("get", err)
		if !ok {
			return bodies
		}
		bodies = append(bodies, string(d.Body))
	}
}

func take(what string, from <-chan amqp.Delivery, count int) []amqp.Delivery {
	taken := []amqp.Delivery{}
	limit := time.After(waitLimit)
	for len(taken) < count {
		select {
		case d, open := <-from:
			check(what+": the consumer ended", open)
			taken = append(taken, d)
		case <-limit:
			fail("timed out waiting for %s: %d of %d", what, len(taken), count)
		}
	}
	return taken
}

func bodies(deliveries []amqp.Delivery) []string {
	all := []string{}
	for _, d := range deliveries {
		all = append(all, string(d.Body))
	}
	return all
}

func text(body string) amqp.Publishing {
	return amqp.Publishing{Body: []byte(body)}
}

func persistent(body string) amqp.Publishing {
	return amqp.Publishing{Body: []byte(body), DeliveryMode: amqp.Persistent}
}

func numbered(format string, count int) []string {
	all := []string{}
	for i := 0; i < count; i++ {
		all = append(all, fmt.Sprintf(format, i))
	}
	return all
}

// guarded runs step and gives the reason for which it failed, or "".
func guarded(step func()) (why string) {
	defer func() {
		switch cause := recover().(type) {
		case nil:
		case failure:
			why = string(cause)
		default:
			why = fmt.Sprintf("panic: %v", cause)
		}
	}()
	step()
	return ""
}

func run(uri, name string, steps func(*scenario)) bool {
	s := &scenario{uri: uri, prefix: runName + "." + name}
	watchdog := time.AfterFunc(scenarioLimit, func() {
		fmt.Printf("not ok go %s: timed out waiting for an answer of the broker\n", name)
		os.Exit(1)
	})
	defer watchdog.Stop()
	why := guarded(func() { steps(s) })
	if late := guarded(s.cleanUp); why == "" && late != "" {
		why = "clean-up: " + late
	}
	if why != "" {
		fmt.Printf("not ok go %s: %s\n", name, why)
		return false
	}
	fmt.Printf("ok go %s\n", name)
	return true
}
