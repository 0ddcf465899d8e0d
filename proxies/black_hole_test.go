package main

import (
	"net"
	"testing"
	"time"
)

// In the hole nothing is answered and nothing ends, for connections from before and for new ones.
func TestBlackHoleIsSilent(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "black_hole", false)
	before := w.dialled()
	w.update("swallow", 1)
	for _, conn := range []net.Conn{before, w.dial()} {
		if seen, err := exchange(conn, idle); seen != silence {
			t.Errorf("expected silence in the hole, the client saw %q (%v)", seen, err)
		}
	}
}

// Healed, what was in the hole ends, by RST if it was opened armed and by FIN if not; what comes later lives.
func TestBlackHoleEndsWhatItHeldWhenHealed(t *testing.T) {
	howIn(t, func(t *testing.T, armed bool, end string) {
		w := newWire(t, echo, "black_hole", armed)
		before := w.dialled()
		w.update("swallow", 1)
		during := w.dial()
		if seen, _ := exchange(during, 5*slack); seen != silence { // it has to be in the hole by then
			t.Fatalf("the hole answered: %s", seen)
		}
		healed := time.Now()
		w.update("swallow", 0)
		w.expect(before, end, healed, 0, slack)
		w.expect(during, end, healed, 0, slack)
		w.ping(w.dial())
	})
}

// A connection that was never in the hole is not ended by a heal that changes nothing.
func TestBlackHoleIsNeutralAtZero(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "black_hole", true)
	conn := w.dialled()
	w.update("swallow", 0)
	w.ping(conn)
}

// A client that gives up in the hole leaves nothing open behind it.
func TestBlackHolePassesTheEndOn(t *testing.T) {
	t.Parallel()
	serverSaw := make(chan struct{})
	w := newWire(t, func(conn net.Conn) { echo(conn); close(serverSaw) }, "black_hole", false)
	conn := w.dialled()
	w.update("swallow", 1)
	conn.Close()
	select {
	case <-serverSaw:
	case <-time.After(time.Second):
		t.Error("the server's side was still open a second after the client had closed")
	}
}

// The log tells of each connection that it went silent, and that the toxic ended it.
func TestBlackHoleIsTold(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "black_hole", false)
	conn := w.dialled()
	w.update("swallow", 1)
	expectStory(t, t.Name(), portOf(conn), "opened silencedblack_hole")
	w.update("swallow", 0)
	expectStory(t, t.Name(), portOf(conn), "opened silencedblack_hole cutblack_hole endedtoxic")
}

// An update returns at once even if a connection's destination has stopped reading.
func TestBlackHoleAnswersBehindADeafServer(t *testing.T) {
	t.Parallel()
	w := newWire(t, deaf, "black_hole", true)
	w.stuffed()
	w.update("swallow", 1)
	w.update("swallow", 0)
}
