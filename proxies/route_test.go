package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand"
	"net"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2/stream"
)

// counted is a text of that many bytes in which no place looks like another.
func counted(size int) []byte {
	text := make([]byte, 0, size)
	for n := uint64(0); len(text) < size; n++ {
		text = binary.BigEndian.AppendUint64(text, n)
	}
	return text
}

// straightRoutes is in how many directions the bytes of a round trip go straight.
func (w *wire) straightRoutes(ping net.Conn) int {
	w.t.Helper()
	n := 0
	routes := w.proxy.open()[0].routes
	for _, each := range routes {
		for each.inside.Load() != 0 { // as after the ping
			time.Sleep(time.Millisecond)
		}
		each.lastByte.Store(0)
	}
	w.ping(ping)
	for _, each := range routes {
		for each.writing.Load() { // the client may have the bytes before their sender knows
			time.Sleep(time.Millisecond)
		}
		if each.lastByte.Load() != 0 {
			n++
		}
	}
	return n
}

// Bytes go past toxics without an effect, through them while one has an effect, and past them again.
func TestBytesGoPastNeutralToxics(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "latency", true)
	conn := w.dialled()
	for _, step := range []struct{ latency, straight int }{{0, 2}, {1, 0}, {0, 2}} {
		w.update("latency", step.latency)
		if got := w.straightRoutes(conn); got != step.straight {
			t.Errorf("at a latency of %d bytes went straight in %d directions, expected %d", step.latency, got, step.straight)
		}
	}
}

// A toxic that was added to an open connection sees all its bytes from then on, also those of new connections.
func TestAToxicThatIsAddedLaterIsNotPassedBy(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "kill_switch", false)
	before := w.dialled()
	w.add(`{"name": "later", "type": "limit_data", "stream": "upstream", "attributes": {"bytes": 1}}`)
	for _, conn := range []net.Conn{before, w.dial()} {
		_, _ = conn.Write([]byte("xx"))
		if got, _ := io.ReadAll(conn); len(got) > 1 {
			t.Errorf("%d bytes came back, expected at most the one that is allowed", len(got))
		}
	}
}

// However often a toxic comes and goes in the middle of a transfer, every byte arrives once and in its place.
func TestNothingIsOvertakenWhenToxicsComeAndGo(t *testing.T) { // not parallel: it keeps the machine busy
	w := newWire(t, echo, "latency", false)
	conn := w.dialled()
	sent := counted(2 << 20)
	go func() {
		for rest := sent; len(rest) > 0; {
			n, err := conn.Write(rest[:min(len(rest), 1+rand.Intn(40_000))])
			if err != nil {
				return
			}
			rest = rest[n:]
		}
	}()
	got := make(chan []byte, 1)
	go func() {
		all := make([]byte, len(sent))
		_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
		n, _ := io.ReadFull(conn, all)
		got <- all[:n]
	}()
	for change := 0; ; change++ {
		select {
		case all := <-got:
			if !bytes.Equal(all, sent) {
				t.Errorf("%d bytes came back after %d changes, expected the %d that were sent", len(all), change, len(sent))
			}
			return
		case <-time.After(2 * time.Millisecond):
			w.update("latency", change%2)
		}
	}
}

// What is on its way to a server that does not read goes on through the toxics when one comes; nothing is lost or doubled.
func TestAnInterruptedWriteIsFinished(t *testing.T) { // not parallel: it keeps the machine busy
	read, heard := make(chan struct{}), make(chan []byte, 1)
	w := newWire(t, func(conn net.Conn) {
		<-read
		all, _ := io.ReadAll(conn)
		heard <- all
	}, "idle_reset", false)
	conn := w.dial()
	sent := counted(32 << 20)
	_ = conn.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	n, err := conn.Write(sent)
	if err == nil {
		t.Fatal("32 MiB went to a server that does not read")
	}
	if up := w.proxy.open()[0].routes[stream.Upstream]; !up.writing.Load() {
		t.Fatal("nothing was on its straight way")
	}
	w.update("idle_ms", 60_000)
	w.update("idle_ms", 0)
	close(read)
	conn.(*net.TCPConn).CloseWrite()
	if all := <-heard; !bytes.Equal(all, sent[:n]) {
		t.Errorf("the server has read %d bytes, expected the %d that the client could send", len(all), n)
	}
}

// What stands behind a name of Toxiproxy's is ours: it ends a connection some time after the next bytes, and keeps those.
func TestResetPeerEndsAConnectionAfterItsNextBytes(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "reset_peer", false)
	w.update("timeout", idleMS)
	conn := w.dial()
	sent := time.Now()
	_, _ = conn.Write([]byte("x"))
	w.expect(conn, reset, sent, idle-early, idle+slack)
}
