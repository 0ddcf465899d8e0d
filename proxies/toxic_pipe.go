package main

import (
	"time"

	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog/log"
)

// toxicPipe is the state of a toxic of ours for one direction of one connection. It is the stub's state, so it outlives
// an update of the toxic: an update stops Pipe and starts it again with the same state.
//
//	source ──▶ Input ──▶ held ──▶ Output ──▶ destination
type toxicPipe struct {
	held     *stream.StreamChunk // taken from Input, not yet taken by Output
	lastByte time.Time           // when the last chunk left for Output, or when the link opened
	link     *link               // nil for a toxic that was added to open links
	route    *route              // its direction; nil like the link

	swallow func([]byte) bool // called for each chunk; true: the chunk is not passed on. Nil: all are passed on
}

// place tells where a toxic of ours stands. Toxics embed it.
type place struct {
	proxy     *proxy
	direction stream.Direction
}

func (p *place) setPlace(known place) { *p = known }

// newToxicPipe is for a toxic's NewState only: its link is the one that starts right now, if its proxy knows the toxic.
func newToxicPipe(of place) toxicPipe {
	pipe := toxicPipe{lastByte: time.Now()}
	if of.proxy != nil {
		pipe.link = of.proxy.opening
		pipe.route = pipe.link.routes[of.direction]
	}
	return pipe
}

// silentSince is when the last bytes passed, through this toxic or straight.
func (p *toxicPipe) silentSince() time.Time {
	if p.route != nil {
		if straight := began.Add(time.Duration(p.route.lastByte.Load())); straight.After(p.lastByte) {
			return straight
		}
	}
	return p.lastByte
}

type outcome int

const (
	interrupted outcome = iota // the toxic is being updated or removed: return, the state stays for the next run
	ended                      // the source has closed, and so has the stub
	idleElapsed                // nothing has passed for the limit, and nothing is held
	swallowed                  // swallow has taken a chunk
)

// forward passes chunks on until the outcome it returns.
//
// It never waits for Output alone. Toxiproxy updates a toxic by a send on Interrupt, holding the lock of the whole
// proxy meanwhile; a toxic that is stuck behind a destination which has stopped reading would hang every later call.
// While a chunk waits for its destination the alarm is ignored: a link with bytes under way is not idle.
func (p *toxicPipe) forward(stub *toxics.ToxicStub, alarm <-chan time.Time) outcome {
	for {
		input, output, bell := stub.Input, stub.Output, alarm
		if p.held == nil {
			output = nil // a nil channel is never ready: this disables the case below
		} else {
			input, bell = nil, nil
		}
		select {
		case <-stub.Interrupt:
			return interrupted
		case <-bell:
			return idleElapsed
		case output <- p.held:
			p.held, p.lastByte = nil, time.Now()
		case chunk := <-input:
			if chunk == nil {
				stub.Close()
				return ended
			}
			if p.swallow != nil && p.swallow(chunk.Data) {
				return swallowed
			}
			p.held = chunk
		}
	}
}

// forwardUntilIdle is forward that returns idleElapsed when nothing has passed for limit. A limit of zero means never.
// The silence is counted from the last byte and not from the call, whatever updates came in between.
func (p *toxicPipe) forwardUntilIdle(stub *toxics.ToxicStub, limit time.Duration) outcome {
	if limit <= 0 {
		return p.forward(stub, nil)
	}
	for {
		// One timer for a whole silence, not one reset for each chunk: if bytes passed meanwhile, look again later.
		timer := time.NewTimer(time.Until(p.silentSince().Add(limit)))
		result := p.forward(stub, timer.C)
		timer.Stop()
		if result != idleElapsed || time.Since(p.silentSince()) >= limit {
			return result
		}
	}
}

// cut ends the connection and logs the reason. Closing the stub makes Toxiproxy close both sockets, with an RST if the
// connection was opened armed and with a FIN if not.
func (p *toxicPipe) cut(stub *toxics.ToxicStub, toxic, reason string) {
	p.link.leave()
	links.cut(p.link, toxic, reason)
	p.link.detour()
	stub.Close()
	log.Info().Str("toxic", toxic).Str("reason", reason).Msg("Toxic ended a link")
	// What the source still sends has no destination. If it were not taken, the goroutine that reads the source would be
	// stuck for ever. This ends when the source is closed.
	for range stub.Input {
	}
}
