package main

import (
	"net"
	"testing"
	"time"
)

// expired opens a connection and lets it be silent for longer than the limit.
func expired(w *wire) net.Conn {
	w.update("idle_ms", idleMS)
	conn := w.dialled()
	time.Sleep(idle + slack)
	return conn
}

func expectSilence(t *testing.T, conn net.Conn) {
	t.Helper()
	if seen, err := exchange(conn, idle); seen != silence {
		t.Errorf("expected silence on an expired connection, the client saw %q (%v)", seen, err)
	}
}

// After a silence of idle_ms the client's bytes vanish: no answer, no end.
func TestIdleDropSwallowsAfterSilence(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "idle_drop", false)
	expectSilence(t, expired(w))
}

// An expired connection stays silent, whatever the limit becomes; others are not concerned.
func TestIdleDropIsForEver(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "idle_drop", false)
	conn := expired(w)
	w.update("idle_ms", 0)
	expectSilence(t, conn)
	w.update("idle_ms", idleMS)
	expectSilence(t, conn)
	w.ping(w.dial())
}

// A client that keeps talking notices nothing.
func TestIdleDropSparesAClientThatTalks(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "idle_drop", false)
	w.update("idle_ms", idleMS)
	conn := w.dial()
	for range 8 {
		w.ping(conn)
		time.Sleep(idle / 4)
	}
}

// When the client of an expired connection closes, the server gets to know: nothing is left open.
func TestIdleDropPassesTheEndOn(t *testing.T) {
	t.Parallel()
	serverSaw := make(chan struct{})
	w := newWire(t, func(conn net.Conn) { echo(conn); close(serverSaw) }, "idle_drop", false)
	conn := expired(w)
	conn.Close()
	select {
	case <-serverSaw:
	case <-time.After(time.Second):
		t.Error("the server's side was still open a second after the client had closed")
	}
}

// An update returns at once even if a connection's destination has stopped reading.
func TestIdleDropAnswersBehindADeafServer(t *testing.T) {
	t.Parallel()
	w := newWire(t, deaf, "idle_drop", false)
	w.stuffed()
	w.update("idle_ms", idleMS)
	w.update("idle_ms", 0)
}
