package main

import (
	"io"
	"net"
	"runtime"
	"testing"
	"time"
)

// An idle connection that is open at a strike ends at once, by RST if it was opened armed and by FIN if not.
func TestKillEndsIdleConnections(t *testing.T) {
	howIn(t, func(t *testing.T, armed bool, end string) {
		w := newWire(t, echo, "kill_switch", armed)
		conn := w.dialled()
		struck := time.Now()
		w.update("generation", 1)
		w.expect(conn, end, struck, 0, slack)
	})
}

// A connection in the middle of an answer ends at once, too.
func TestKillEndsConnectionsInMidTransfer(t *testing.T) {
	endless := func(conn net.Conn) {
		defer conn.Close()
		for {
			if _, err := conn.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	}
	howIn(t, func(t *testing.T, armed bool, end string) {
		w := newWire(t, endless, "kill_switch", armed)
		conn := w.dial()
		if _, err := conn.Read(make([]byte, 4096)); err != nil {
			t.Fatal(err)
		}
		type sighting struct {
			seen string
			at   time.Time
		}
		sightings := make(chan sighting, 1)
		go func() {
			seen, at := watch(conn, 5*time.Second)
			sightings <- sighting{seen, at}
		}()
		struck := time.Now()
		w.update("generation", 1)
		got := <-sightings
		// What is buffered at the strike still has to be read: some megabytes, some milliseconds.
		if took := got.at.Sub(struck); got.seen != end || took > 5*slack {
			t.Errorf("the client saw %s after %s, expected %s within %s", got.seen, took, end, 5*slack)
		}
	})
}

// A strike ends what is older than itself: connections opened later live, and none is refused meanwhile.
func TestKillSparesWhatComesLater(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "kill_switch", true)
	for generation := 1; generation <= 20; generation++ {
		older := w.dialled()
		struck := time.Now()
		w.update("generation", generation)
		younger := w.dialled()
		w.expect(older, reset, struck, 0, slack)
		w.ping(younger)
	}
}

// Fifty connections killed at once all see their end in time.
func TestKillEndsAllConnections(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "kill_switch", true)
	conns := make([]net.Conn, 50)
	for i := range conns {
		conns[i] = w.dialled()
	}
	struck := time.Now()
	w.update("generation", 1)
	for _, conn := range conns {
		w.expect(conn, reset, struck, 0, 2*slack)
	}
}

// A client killed in the middle of an upload leaves no goroutine behind in the server once it is gone.
func TestKillLeavesNoReaderBehind(t *testing.T) { // not parallel: it counts the goroutines of the process
	w := newWire(t, echo, "kill_switch", true)
	w.dialled().Close()
	before := runtime.NumGoroutine()
	for generation := 1; generation <= 10; generation++ {
		conn := w.dialled() // one that the proxy opens after the strike is spared
		go func() { _ = conn.SetReadDeadline(time.Time{}); _, _ = io.Copy(io.Discard, conn) }()
		uploaded := make(chan struct{})
		go func() {
			defer close(uploaded)
			for {
				if _, err := conn.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		}()
		time.Sleep(slack)
		w.update("generation", generation)
		<-uploaded
		conn.Close()
	}
	deadline := time.Now().Add(2 * time.Second)
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before, %d two seconds after ten kills", before, runtime.NumGoroutine())
		}
		time.Sleep(slack)
	}
}

// At generation 0, and when a generation is written again, nothing happens.
func TestKillIsNeutralWithoutANewGeneration(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "kill_switch", true)
	conn := w.dialled()
	w.update("generation", 0)
	w.ping(conn)
	w.update("generation", 3)
	second := w.dialled()
	w.update("generation", 3)
	w.ping(second)
}

// An update returns at once even if a connection's destination has stopped reading.
func TestKillSwitchAnswersBehindADeafServer(t *testing.T) {
	t.Parallel()
	w := newWire(t, deaf, "kill_switch", true)
	w.stuffed()
	w.update("generation", 0)
	w.update("generation", 1)
}
