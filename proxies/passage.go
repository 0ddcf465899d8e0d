package main

import (
	"time"

	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog/log"
)

// passage is what a toxic of ours remembers about one direction of one connection. It is the stub's state, so it
// outlives an update of the toxic: an update stops Pipe and starts it again with the same state.
//
//	source ──▶ Input ──▶ held ──▶ Output ──▶ destination
type passage struct {
	held     *stream.StreamChunk // taken from Input, not yet taken by Output
	lastByte time.Time           // when the last chunk left for Output, or when the link was born
	link     *link               // whose connection it is; nil if nobody keeps a link log
	side     side                // whose end it tells the link log; of all toxics of a direction one does

	swallow func([]byte) bool // asked about each chunk as it comes; true: it is not passed on. Nil: none is
}

// newPassage is for a toxic's NewState, and for nothing else: it takes the link that is being opened for its own.
func newPassage(of toxics.Toxic) passage {
	return passage{lastByte: time.Now(), link: links.current(of)}
}

type outcome int

const (
	interrupted outcome = iota // the toxic is being updated or removed: return, the state stays for the next run
	ended                      // the source has closed, and so has the stub
	rang                       // the alarm fired while nothing was held
	caught                     // swallow has taken a chunk
)

// forward passes chunks on until something else is to be done.
//
// It never waits for Output alone. Toxiproxy updates a toxic by a send on Interrupt, holding the lock of the whole
// proxy meanwhile; a toxic that is stuck behind a destination which has stopped reading would hang every later call.
// While a chunk waits for its destination the alarm is not heard: a link with bytes under way is not idle.
func (p *passage) forward(stub *toxics.ToxicStub, alarm <-chan time.Time) outcome {
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
			return rang
		case output <- p.held:
			p.held, p.lastByte = nil, time.Now()
		case chunk := <-input:
			if chunk == nil {
				links.over(p.link, p.side)
				stub.Close()
				return ended
			}
			if p.swallow != nil && p.swallow(chunk.Data) {
				return caught
			}
			p.held = chunk
		}
	}
}

// forwardUntilIdle is forward, with an alarm that rings when nothing has passed for limit. A limit of zero never rings.
// The silence is counted from the last byte and not from the call, whatever updates came in between.
func (p *passage) forwardUntilIdle(stub *toxics.ToxicStub, limit time.Duration) outcome {
	if limit <= 0 {
		return p.forward(stub, nil)
	}
	for {
		// One timer for a whole silence, not one reset for each chunk: if bytes passed meanwhile, look again later.
		timer := time.NewTimer(time.Until(p.lastByte.Add(limit)))
		result := p.forward(stub, timer.C)
		timer.Stop()
		if result != rang || time.Since(p.lastByte) >= limit {
			return result
		}
	}
}

// cut ends the connection and says why. Closing the stub makes Toxiproxy close both sockets, with an RST if the
// connection was opened armed and with a FIN if not.
func (p *passage) cut(stub *toxics.ToxicStub, toxic, reason string) {
	links.cut(p.link, toxic, reason)
	stub.Close()
	log.Info().Str("toxic", toxic).Str("reason", reason).Msg("Toxic ended a link")
	// What the source still sends has no destination. If nobody took it, the goroutine that reads the source would be
	// stuck for ever. This ends when the source is closed.
	for range stub.Input {
	}
	links.over(p.link, p.side)
}
