package main

import "github.com/Shopify/toxiproxy/v2/toxics"

// BlackHole swallows whatever passes while Swallow is not zero, and ends every connection that has lived through that
// once it is zero again: bytes are missing on it, and neither side may go on as if they were not.
//
// It sees one direction; two of them make a hole. Toxiproxy's own timeout toxic has no way back, because removing it
// is what ends the connections, and no way to stand by: with toxicity 0 it forwards without listening to an update.
// The end of a source is passed on, or the other side would stay open for ever. Neutral at 0.
type BlackHole struct {
	place
	Swallow int64 `json:"swallow"`
}

type holeState struct {
	toxicPipe
	lost bool // the connection was in the hole
}

// NewState implements toxics.StatefulToxic.
func (t *BlackHole) NewState() interface{} { return &holeState{toxicPipe: newToxicPipe(t.place)} }

func (t *BlackHole) neutral() bool { return t.Swallow == 0 }

// Pipe implements toxics.Toxic.
func (t *BlackHole) Pipe(stub *toxics.ToxicStub) {
	state := stub.State.(*holeState)
	if t.Swallow == 0 {
		if state.lost {
			state.cut(stub, "black_hole", "healed")
			return
		}
		state.forward(stub, nil)
		return
	}
	if !state.lost {
		state.lost, state.held = true, nil
		state.link.detour()
		links.silenced(state.link, "black_hole", "swallowed")
	}
	swallow(stub)
}

func init() { toxics.Register("black_hole", new(BlackHole)) }
