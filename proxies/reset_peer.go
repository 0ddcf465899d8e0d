package main

import (
	"time"

	"github.com/Shopify/toxiproxy/v2/toxics"
)

// ResetPeer stands in for Toxiproxy's toxic of that name, with the same attribute and the same effect: a connection ends Timeout
// milliseconds after its source's next bytes, which are not passed on. Links that start while there is one on their proxy,
// in whichever direction and whatever its toxicity, end by RST; Toxiproxy's own could not be told of, because it looks for
// sockets where we hand it routes (see proxy.begin).
type ResetPeer struct {
	Timeout int64 `json:"timeout"`
}

// Pipe implements toxics.Toxic.
func (t *ResetPeer) Pipe(stub *toxics.ToxicStub) {
	select {
	case <-stub.Interrupt:
	case <-stub.Input:
		time.Sleep(time.Duration(t.Timeout) * time.Millisecond)
		stub.Close()
	}
}

func init() { toxics.Register("reset_peer", new(ResetPeer)) }
