package main

import (
	"time"

	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
)

// IdleReset ends a connection whose source has sent nothing for IdleMS milliseconds, as firewalls, load balancers
// and poolers with an idle limit do.
//
// With NextPacket at 0 it ends at once. With 1 the connection is forgotten in silence, and the next byte of the source
// ends it, as behind a load balancer that has dropped its entry and answers by RST whatever does not belong to any.
// Until then both sides believe it to be open. It stays forgotten, whatever the limit becomes.
//
// A toxic sees one direction. On the upstream stream, idle means that the client is silent: an answer that takes
// longer than the limit to arrive does not count as activity. Neutral at 0, which means never.
type IdleReset struct {
	place
	IdleMS     int64 `json:"idle_ms"`
	NextPacket int64 `json:"next_packet"`
}

type idleState struct {
	toxicPipe
	forgotten bool
}

// NewState implements toxics.StatefulToxic.
func (t *IdleReset) NewState() interface{} { return &idleState{toxicPipe: newToxicPipe(t.place)} }

func (t *IdleReset) neutral() bool { return t.IdleMS == 0 }

// Pipe implements toxics.Toxic.
func (t *IdleReset) Pipe(stub *toxics.ToxicStub) {
	state := stub.State.(*idleState)
	if !state.forgotten {
		if state.forwardUntilIdle(stub, time.Duration(t.IdleMS)*time.Millisecond) != idleElapsed {
			return
		}
		if t.NextPacket == 0 {
			state.cut(stub, "idle_reset", "idle")
			return
		}
		state.forgotten = true
		state.link.detour()
		links.forgotten(state.link, "idle_reset", "idle")
	}
	// Nothing is held here, and nothing is sent on: only the source can end this, or an update interrupt it.
	select {
	case <-stub.Interrupt:
	case chunk := <-stub.Input:
		state.answer(stub, chunk)
	}
}

// answer is what the source's next byte meets; its end is passed on, or the other side would stay open for ever.
func (s *idleState) answer(stub *toxics.ToxicStub, chunk *stream.StreamChunk) {
	if chunk == nil {
		stub.Close()
		return
	}
	s.cut(stub, "idle_reset", "next packet")
}

func init() { toxics.Register("idle_reset", new(IdleReset)) }
