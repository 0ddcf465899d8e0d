package main

import (
	"time"

	"github.com/Shopify/toxiproxy/v2/toxics"
)

// IdleDrop swallows whatever a source sends after it was silent for IdleMS milliseconds, and does so for the rest of
// the connection's life, as a NAT does whose entry has expired: raising the limit or taking it away brings nothing back.
//
// The proxy's kernel still acknowledges the bytes, so this is silence and not packet loss. The end of the source is
// passed on, or the other side would stay open for ever. Neutral at 0, which means never.
type IdleDrop struct {
	place
	IdleMS int64 `json:"idle_ms"`
}

type dropState struct {
	toxicPipe
	expired bool
}

// NewState implements toxics.StatefulToxic.
func (t *IdleDrop) NewState() interface{} { return &dropState{toxicPipe: newToxicPipe(t.place)} }

func (t *IdleDrop) neutral() bool { return t.IdleMS == 0 }

// Pipe implements toxics.Toxic.
func (t *IdleDrop) Pipe(stub *toxics.ToxicStub) {
	state := stub.State.(*dropState)
	if !state.expired {
		if state.forwardUntilIdle(stub, time.Duration(t.IdleMS)*time.Millisecond) != idleElapsed {
			return
		}
		state.expired = true
		state.link.detour()
		links.silenced(state.link, "idle_drop", "idle")
	}
	swallow(stub)
}

func swallow(stub *toxics.ToxicStub) {
	for {
		select {
		case <-stub.Interrupt:
			return
		case chunk := <-stub.Input:
			if chunk == nil {
				stub.Close()
				return
			}
		}
	}
}

func init() { toxics.Register("idle_drop", new(IdleDrop)) }
