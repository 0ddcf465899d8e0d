package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

func portOf(conn net.Conn) int { return conn.LocalAddr().(*net.TCPAddr).Port }

// linesOf reads what the link log says of one arm. A line that is just being written is none yet.
func linesOf(t *testing.T, arm string) []line {
	t.Helper()
	text, err := os.ReadFile(links.file.Name())
	if err != nil {
		t.Fatal(err)
	}
	var found []line
	for _, each := range bytes.SplitAfter(text, []byte("\n")) {
		if !bytes.HasSuffix(each, []byte("\n")) {
			break
		}
		var one line
		if err := json.Unmarshal(each, &one); err != nil {
			t.Fatalf("not a line of JSON: %s", each)
		}
		if one.Arm == arm {
			found = append(found, one)
		}
	}
	return found
}

// story is what the log holds of a client's port, ordered by time.
func story(lines []line, port int) string {
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.T, b.T) })
	var events []string
	for _, one := range lines {
		if one.Port == port {
			events = append(events, strings.TrimPrefix(one.Kind, "link_")+one.ClosedBy+one.Toxic)
		}
	}
	return strings.Join(events, " ")
}

// expectStory polls, for a line is written a moment after its event.
func expectStory(t *testing.T, arm string, port int, want string) {
	t.Helper()
	var got string
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if got = story(linesOf(t, arm), port); got == want {
			return
		}
	}
	t.Errorf("of port %d the log has %q, expected %q", port, got, want)
}

// A connection that its client closes leaves two lines, of which the second says so.
func TestLinksTellOfAClientThatLeaves(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "kill_switch", false)
	before := monotonicNS()
	conn := w.dialled()
	conn.Close()
	expectStory(t, t.Name(), portOf(conn), "opened endedclient")
	for _, one := range linesOf(t, t.Name()) {
		if one.Port == portOf(conn) && (one.T < before || one.T > monotonicNS()) {
			t.Errorf("%s was not between the test's own readings of the clock", one.Kind)
		}
	}
}

// A connection that the server closes was not closed by its client.
func TestLinksTellOfAServerThatLeaves(t *testing.T) {
	t.Parallel()
	w := newWire(t, func(conn net.Conn) { conn.Close() }, "kill_switch", false)
	conn := w.dial()
	watch(conn, time.Second)
	expectStory(t, t.Name(), portOf(conn), "opened endedserver")
}

// A strike names the links it cuts, arm and port, however many are being opened elsewhere at that moment.
func TestLinksNameWhatAToxicCuts(t *testing.T) {
	t.Parallel()
	for range 6 {
		t.Run("arm", func(t *testing.T) {
			t.Parallel()
			w := newWire(t, echo, "kill_switch", true)
			conns := make([]net.Conn, 20)
			for i := range conns {
				conns[i] = w.dialled()
			}
			w.update("generation", 1)
			for _, conn := range conns {
				expectStory(t, t.Name(), portOf(conn), "opened cutkill_switch endedtoxic")
			}
		})
	}
}

// A connection that goes silent is logged as silenced, once, and as ended when its client gives up.
func TestLinksTellOfSilence(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "idle_drop", false)
	conn := expired(w)
	w.update("idle_ms", idleMS)
	expectStory(t, t.Name(), portOf(conn), "opened silencedidle_drop")
	conn.Close()
	expectStory(t, t.Name(), portOf(conn), "opened silencedidle_drop endedclient")
}

// Clients come from anywhere: in containers each has an address of its own.
func TestLinksTellOfClientsFromElsewhere(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "kill_switch", true)
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	conns := make([]net.Conn, 3)
	for i := range conns {
		var err error
		if conns[i], err = from.Dial("tcp", w.proxy.Listen); err != nil {
			t.Skipf("no connection from 127.0.0.2 on this system: %v", err)
		}
		w.ping(conns[i])
	}
	conns[0].Close()
	expectStory(t, t.Name(), portOf(conns[0]), "opened endedclient")
	_ = conns[1].(*net.TCPConn).SetLinger(0) // its end is an RST
	conns[1].Close()
	expectStory(t, t.Name(), portOf(conns[1]), "opened endedclient")
	w.update("generation", 1)
	expectStory(t, t.Name(), portOf(conns[2]), "opened cutkill_switch endedtoxic")
}

// A client that goes while an answer is on its way to it has ended the link, though its proxy notices by writing.
func TestLinksTellOfAClientThatLeavesBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	w := newWire(t, func(conn net.Conn) {
		defer conn.Close()
		_, _ = io.Copy(io.Discard, io.LimitReader(conn, 1))
		for err := error(nil); err == nil; {
			_, err = conn.Write(make([]byte, 1<<16))
		}
	}, "kill_switch", false)
	conn := w.dial()
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1<<16)); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	expectStory(t, t.Name(), portOf(conn), "opened endedclient")
}

// When a proxy is stopped, every link of it is logged as ended.
func TestLinksEndWithTheirProxy(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "kill_switch", false)
	conns := []net.Conn{w.dialled(), w.dialled(), w.dialled()}
	w.proxy.stop()
	for _, conn := range conns {
		deadline := time.Now().Add(time.Second)
		for !strings.HasPrefix(story(linesOf(t, t.Name()), portOf(conn)), "opened ended") {
			if time.Now().After(deadline) {
				t.Fatalf("port %d: %q", portOf(conn), story(linesOf(t, t.Name()), portOf(conn)))
			}
		}
	}
}

// A client whose server is not there is accepted, and closed at once.
func TestLinksTellOfAServerThatIsNotThere(t *testing.T) {
	t.Parallel()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	proxy := proxyTo(t.Name(), free.Addr().String())
	if err := proxy.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.stop)
	conn, err := net.Dial("tcp", proxy.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	watch(conn, time.Second)
	expectStory(t, t.Name(), portOf(conn), "opened endedno_server")
}

// A port that is used again at once is another link, with an end of its own: the n-th end belongs to the n-th opening.
func TestLinksTellPortsUsedAgainApart(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "kill_switch", true)
	const times = 30
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
	conn, err := from.Dial("tcp", w.proxy.Listen)
	if err != nil {
		t.Fatal(err)
	}
	port := portOf(conn)
	for i := 0; ; i++ {
		w.ping(conn)
		_ = conn.(*net.TCPConn).SetLinger(0) // an RST leaves no TIME_WAIT, so the port is free at once
		conn.Close()
		if i == times {
			break
		}
		from.LocalAddr.(*net.TCPAddr).Port = port
		if conn, err = from.Dial("tcp", w.proxy.Listen); err != nil {
			t.Skipf("port %d was taken by another: %v", port, err)
		}
	}
	// The proxy may hear of a new client a moment before it hears that the former has gone; never of an end too many.
	var events []string
	for deadline := time.Now().Add(2 * time.Second); len(events) < 2*(times+1) && time.Now().Before(deadline); {
		events = strings.Fields(story(linesOf(t, t.Name()), port))
	}
	open, ends := 0, 0
	for _, word := range events {
		if word == "opened" {
			open++
		} else {
			open, ends = open-1, ends+1
		}
		if open < 0 {
			t.Fatalf("port %d: more ends than openings: %s", port, events)
		}
	}
	if ends != times+1 || open != 0 {
		t.Errorf("%d connections, of which the log has %s", times+1, events)
	}
}

type counter struct{ messages atomic.Int64 }

func (c *counter) Write(message []byte) (int, error) { c.messages.Add(1); return len(message), nil }

// While bytes pass nobody says anything, at any level: the link log costs at the two ends of a link and not in between.
func TestLinksCostNothingWhileBytesPass(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		if conn, err := listener.Accept(); err == nil {
			echo(conn)
		}
	}()
	heard := new(counter)
	proxy := proxyWith(zerolog.New(heard).Level(zerolog.TraceLevel), t.Name(), listener.Addr().String())
	if err := proxy.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.stop)
	w := &wire{t: t, proxy: proxy}
	conn := w.dialled()
	before := heard.messages.Load()
	for range 500 {
		w.ping(conn)
	}
	if after := heard.messages.Load(); before == 0 || after != before {
		t.Errorf("%d messages before 500 round trips, %d after them", before, after)
	}
}

// What opens a connection and closes it costs through the proxy, without and with the link log.
func BenchmarkLink(b *testing.B) {
	kept := links
	defer func() { links = kept }()
	for _, logged := range []bool{false, true, false, true} {
		b.Run(fmt.Sprintf("logged=%v", logged), func(b *testing.B) {
			logger := zerolog.New(io.Discard).Level(zerolog.InfoLevel)
			links = nil
			if logged {
				links, _ = newLinkLog(filepath.Join(b.TempDir(), "links"))
			}
			benchmarkLinks(b, logger)
		})
	}
}

func benchmarkLinks(b *testing.B, logger zerolog.Logger) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go echo(conn)
		}
	}()
	proxy := proxyWith(logger, "bench", listener.Addr().String())
	for _, toxic := range [][2]string{
		{"commit_lost", "upstream"}, {"reply_lost", "downstream"}, {"kill_switch", "upstream"}, {"idle_reset", "upstream"},
	} {
		add := fmt.Sprintf(`{"type": %q, "stream": %q}`, toxic[0], toxic[1])
		if err := proxy.add(add); err != nil {
			b.Fatal(err)
		}
	}
	if err := proxy.start(); err != nil {
		b.Fatal(err)
	}
	defer proxy.stop()
	b.ResetTimer()
	for range b.N {
		conn, err := net.Dial("tcp", proxy.Listen)
		if err != nil {
			b.Fatal(err)
		}
		if seen, _ := exchange(conn, time.Second); seen != "" {
			b.Fatal(seen)
		}
		_ = conn.(*net.TCPConn).SetLinger(0) // or the machine runs out of ports
		conn.Close()
	}
}
