package main

import (
	"encoding/json"
	"sync/atomic"

	"github.com/Shopify/toxiproxy/v2/toxics"
)

// CommitCut ends one connection in the one moment in which its client cannot know what became of its transaction. After
// strike was raised, the next COMMIT that passes through the proxy, on whichever connection, is swallowed:
//
//	commit_lost, upstream      client ── COMMIT ──x          the database never hears of it, and rolls back
//	reply_lost, downstream     client  x── committed ── database
//
// Only one that passes within a transaction which has written counts: of another there is nothing to doubt. What is
// encrypted cannot be seen. Neutral while strike is not above cut, which is the last strike that has hit; 0 at first.
type CommitCut struct {
	place
	Strike int64 `json:"strike"`

	cut atomic.Int64
}

// CommitLost swallows the client's COMMIT.
type CommitLost struct{ CommitCut }

// ReplyLost swallows the server's answer to it.
type ReplyLost struct{ CommitCut }

// commitDetector reports whether data completes the COMMIT of a transaction that has written, or the answer to it.
type commitDetector interface {
	completesCommit(data []byte) bool
}

type commitState struct {
	toxicPipe
	commits commitDetector
}

// NewState implements toxics.StatefulToxic.
func (t *CommitLost) NewState() interface{} {
	return newCommitState(newToxicPipe(t.place), newClientCommits())
}

// NewState implements toxics.StatefulToxic.
func (t *ReplyLost) NewState() interface{} {
	return newCommitState(newToxicPipe(t.place), newServerCommits())
}

// newCommitState lets the detector also see what does not pass through the toxic.
func newCommitState(p toxicPipe, commits commitDetector) *commitState {
	if p.route != nil {
		p.route.watch = commits.completesCommit
	}
	return &commitState{toxicPipe: p, commits: commits}
}

func (t *CommitCut) neutral() bool { return t.Strike <= t.cut.Load() }

// Pipe implements toxics.Toxic.
func (t *CommitLost) Pipe(stub *toxics.ToxicStub) { t.pipe(stub, "commit lost") }

// Pipe implements toxics.Toxic.
func (t *ReplyLost) Pipe(stub *toxics.ToxicStub) { t.pipe(stub, "reply lost") }

func (t *CommitCut) pipe(stub *toxics.ToxicStub, reason string) {
	state, strike := stub.State.(*commitState), t.Strike
	// Always watched, struck or not: a connection that is not understood from its beginning is not understood at all.
	state.swallow = func(data []byte) bool { return state.commits.completesCommit(data) && t.hit(strike) }
	if state.forward(stub, nil) == swallowed {
		state.cut(stub, "commit_cut", reason)
	}
}

// hit spends a strike; only one connection can.
func (t *CommitCut) hit(strike int64) bool {
	for last := t.cut.Load(); last < strike; last = t.cut.Load() {
		if t.cut.CompareAndSwap(last, strike) {
			return true
		}
	}
	return false
}

// MarshalJSON adds the last strike that has hit to the attributes.
func (t *CommitCut) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]int64{"strike": t.Strike, "cut": t.cut.Load()})
}

func init() {
	toxics.Register("commit_lost", new(CommitLost))
	toxics.Register("reply_lost", new(ReplyLost))
}
