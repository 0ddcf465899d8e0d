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
