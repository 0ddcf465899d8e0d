package main

import (
	"time"

	"github.com/Shopify/toxiproxy/v2/toxics"
)

// IdleReset ends a connection once its source has sent nothing for IdleMS milliseconds, as firewalls, load balancers
// and poolers with an idle limit do.
//
// A toxic sees one direction. On the upstream stream, idle means that the client is silent: an answer that takes
// longer than the limit to arrive does not count as activity. Neutral at 0, which means never.
type IdleReset struct {
	IdleMS int64 `json:"idle_ms"`
}

// NewState implements toxics.StatefulToxic.
func (t *IdleReset) NewState() interface{} {
	state := newPassage(t)
	return &state
}

// Pipe implements toxics.Toxic.
func (t *IdleReset) Pipe(stub *toxics.ToxicStub) {
	state := stub.State.(*passage)
	if state.forwardUntilIdle(stub, time.Duration(t.IdleMS)*time.Millisecond) != rang {
		return
	}
	state.cut(stub, "idle_reset", "idle")
}

func init() { toxics.Register("idle_reset", new(IdleReset)) }
