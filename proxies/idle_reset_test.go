package main

import (
	"net"
	"testing"
	"time"
)

const idleMS = 200
const idle = idleMS * time.Millisecond

// A silent connection ends idle_ms after the client's last byte, by RST if opened armed and by FIN if not.
func TestIdleResetEndsASilentConnection(t *testing.T) {
	howIn(t, func(t *testing.T, armed bool, end string) {
		w := newWire(t, echo, "idle_reset", armed)
		w.update("idle_ms", idleMS)
		conn := w.dial()
		time.Sleep(idle / 2) // the silence is counted from the last byte, not from the opening
		sent := time.Now()
		w.ping(conn)
		w.expect(conn, end, sent, idle-early, idle+slack)
	})
}

// A connection on which nothing was ever sent ends idle_ms after it was opened.
func TestIdleResetEndsAConnectionThatNeverSpoke(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "idle_reset", true)
	w.update("idle_ms", idleMS)
	opened := time.Now()
	w.expect(w.dial(), reset, opened, idle-early, idle+slack)
}

// A client that keeps talking keeps its connection, for much longer than the limit.
func TestIdleResetSparesAClientThatTalks(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "idle_reset", true)
	w.update("idle_ms", idleMS)
	conn := w.dial()
	for range 12 {
		w.ping(conn)
		time.Sleep(idle / 4)
	}
	w.ping(conn)
}

// Bytes towards the client are no activity: the connection of a silent client ends in the middle of a long answer.
func TestIdleResetDoesNotSeeTheAnswer(t *testing.T) {
	t.Parallel()
	chatty := func(conn net.Conn) {
		defer conn.Close()
		for {
			if _, err := conn.Write([]byte("tick")); err != nil {
				return
			}
			time.Sleep(idle / 10)
		}
	}
	w := newWire(t, chatty, "idle_reset", true)
	w.update("idle_ms", idleMS)
	opened := time.Now()
	w.expect(w.dial(), reset, opened, idle-early, idle+slack)
}

// An update on a live connection does not start its silence anew.
func TestIdleResetRemembersTheSilenceAcrossUpdates(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "idle_reset", true)
	w.update("idle_ms", idleMS)
	sent := time.Now()
	conn := w.dialled()
	for range 3 {
		time.Sleep(idle / 5)
		w.update("idle_ms", idleMS)
	}
	w.expect(conn, reset, sent, idle-early, idle+slack)
}

// A connection that is already silent for longer than a new limit ends as soon as the limit is set.
func TestIdleResetJudgesAnOldSilence(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "idle_reset", true)
	conn := w.dialled()
	time.Sleep(idle + slack)
	injected := time.Now()
	w.update("idle_ms", idleMS)
	w.expect(conn, reset, injected, 0, slack)
}

// At 0 a connection lives for ever; back at 0 in time, it is saved.
func TestIdleResetIsNeutralAtZero(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "idle_reset", true)
	conn := w.dialled()
	w.update("idle_ms", idleMS)
	time.Sleep(idle / 2)
	w.update("idle_ms", 0)
	time.Sleep(idle)
	w.ping(conn)
}

// An update returns at once even if a connection's destination has stopped reading.
func TestIdleResetAnswersBehindADeafServer(t *testing.T) {
	t.Parallel()
	w := newWire(t, deaf, "idle_reset", true)
	w.stuffed()
	w.update("idle_ms", idleMS)
	w.update("idle_ms", 0)
}

// forgotten opens a connection and rests on it for longer than the limit, at which it is forgotten.
func forgotten(w *wire) net.Conn {
	w.t.Helper()
	w.update("next_packet", 1)
	w.update("idle_ms", idleMS)
	conn := w.dialled()
	if seen, _ := watch(conn, idle+2*slack); seen != silence {
		w.t.Errorf("the client saw %s in its rest, expected nothing", seen)
	}
	return conn
}

// A forgotten connection is silent until its client speaks; that byte is answered by RST if opened armed, else by FIN.
func TestIdleResetAnswersTheNextPacket(t *testing.T) {
	howIn(t, func(t *testing.T, armed bool, end string) {
		w := newWire(t, echo, "idle_reset", armed)
		conn := forgotten(w)
		sent := time.Now()
		_, err := conn.Write([]byte("x"))
		if err != nil {
			t.Fatalf("the kernel should have believed the connection to be open, but %v", err)
		}
		w.expect(conn, end, sent, 0, slack)
	})
}

// The byte that is answered by an end does not reach the server.
func TestIdleResetPassesNothingOfAForgottenConnection(t *testing.T) {
	t.Parallel()
	heard := make(chan int, 1)
	count := func(conn net.Conn) {
		n := 0
		for buffer := make([]byte, 16); ; {
			got, err := conn.Read(buffer)
			if n += got; err != nil {
				heard <- n
				return
			}
			_, _ = conn.Write(buffer[:got])
		}
	}
	w := newWire(t, count, "idle_reset", true)
	conn := forgotten(w)
	_, _ = conn.Write([]byte("lost"))
	if n := <-heard; n != 1 {
		t.Errorf("the server has read %d bytes, expected the first one alone", n)
	}
}

// Healed or not, what was forgotten stays so; a connection that comes later is in order.
func TestIdleResetForgetsForEver(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "idle_reset", true)
	conn := forgotten(w)
	w.update("idle_ms", 0)
	w.update("next_packet", 0)
	w.ping(w.dial())
	if seen, err := exchange(conn, time.Second); seen != reset {
		t.Errorf("expected a reset on a forgotten connection, the client saw %q (%v)", seen, err)
	}
}

// A client that keeps talking is not forgotten.
func TestIdleResetRemembersAClientThatTalks(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "idle_reset", true)
	w.update("next_packet", 1)
	w.update("idle_ms", idleMS)
	conn := w.dial()
	for range 8 {
		w.ping(conn)
		time.Sleep(idle / 4)
	}
}

// When the client of a forgotten connection closes, the server gets to know: nothing is left open.
func TestIdleResetPassesTheEndOfAForgottenConnectionOn(t *testing.T) {
	t.Parallel()
	serverSaw := make(chan struct{})
	w := newWire(t, func(conn net.Conn) { echo(conn); close(serverSaw) }, "idle_reset", true)
	forgotten(w).Close()
	select {
	case <-serverSaw:
	case <-time.After(time.Second):
		t.Error("the server's side was still open a second after the client had closed")
	}
}

// The log tells when a link was forgotten, and when its client's next byte ended it.
func TestLinksTellOfWhatIsForgotten(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "idle_reset", true)
	conn := forgotten(w)
	expectStory(t, t.Name(), portOf(conn), "opened forgottenidle_reset")
	_, _ = exchange(conn, time.Second)
	expectStory(t, t.Name(), portOf(conn), "opened forgottenidle_reset cutidle_reset endedtoxic")
	quits := forgotten(w)
	quits.Close()
	expectStory(t, t.Name(), portOf(quits), "opened forgottenidle_reset endedclient")
}

// An update returns at once while a connection is forgotten, and with a server that has stopped reading.
func TestIdleResetAnswersWhileForgotten(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "idle_reset", true)
	conn := forgotten(w)
	for range 5 {
		w.update("idle_ms", idleMS)
	}
	if seen, _ := exchange(conn, time.Second); seen != reset {
		t.Errorf("the client saw %q, expected a reset", seen)
	}
	behind := newWire(t, deaf, "idle_reset", true)
	behind.stuffed()
	behind.update("next_packet", 1)
	behind.update("idle_ms", idleMS)
	behind.update("idle_ms", 0)
}
