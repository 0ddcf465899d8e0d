package main

import "github.com/Shopify/toxiproxy/v2/toxics"

// KillSwitch ends every connection that is open when its generation is raised, and leaves those that come later alone.
// The listener is not touched, so nobody is ever refused, which disabling a proxy for a moment cannot promise.
//
// Neutral at generation 0.
type KillSwitch struct {
	place
	Generation int64 `json:"generation"`
}

type killState struct {
	toxicPipe
	openedIn int64 // the generation in force when the link started
}

// NewState implements toxics.StatefulToxic. Toxiproxy calls it under the lock that updates take too, so a link is
// either older than a strike or younger, never in between.
func (t *KillSwitch) NewState() interface{} {
	return &killState{toxicPipe: newToxicPipe(t.place), openedIn: t.Generation}
}

// neutral: once it was raised, what it concerns is gone.
func (t *KillSwitch) neutral() bool { return true }

// Pipe implements toxics.Toxic.
func (t *KillSwitch) Pipe(stub *toxics.ToxicStub) {
	state := stub.State.(*killState)
	if state.openedIn < t.Generation {
		state.cut(stub, "kill_switch", "killed")
		return
	}
	state.forward(stub, nil)
}

func init() { toxics.Register("kill_switch", new(KillSwitch)) }
