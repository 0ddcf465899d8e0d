package main

import (
	"strings"
	"testing"
	"time"
)

// A connection that is open when the ending changes ends in the new way, and so does one that is opened later.
func TestEndingCountsForOpenConnections(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "ending", false)
	w.add(`{"name": "kill", "type": "kill_switch", "stream": "upstream"}`)
	ends := []string{eof, reset}
	for generation, value := range []int{1, 0, 1, 0} {
		older := w.dialled()
		w.update("reset", value)
		younger := w.dialled()
		struck := time.Now()
		w.kill(generation + 1)
		w.expect(older, ends[value], struck, 0, slack)
		w.expect(younger, ends[value], struck, 0, 2*slack)
	}
}

// Fifty connections that a strike is ending by RST end so, although the ending is changed right behind it.
func TestEndingLeavesWhatEndsAlready(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "ending", false)
	w.add(`{"name": "kill", "type": "kill_switch", "stream": "upstream"}`)
	w.update("reset", 1)
	conns := make([]*link, 0, 50)
	for range cap(conns) {
		w.dialled()
	}
	conns = append(conns, w.proxy.open()...)
	w.kill(1)
	for _, each := range conns {
		for !each.leaving.Load() {
			time.Sleep(time.Millisecond)
		}
	}
	w.update("reset", 0)
	for _, each := range conns {
		if each.ending.Load() != byReset {
			t.Error("a connection that was ending was changed")
		}
	}
}

func (w *wire) kill(generation int) {
	w.t.Helper()
	body := strings.Replace(`{"attributes": {"generation": N}}`, "N", string(rune('0'+generation)), 1)
	if err := w.proxy.changed(false, func() error {
		_, err := w.proxy.Toxics.UpdateToxicJson("kill", strings.NewReader(body))
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
}
