package main

import (
	"net"
	"sync/atomic"

	"github.com/Shopify/toxiproxy/v2/stream"
)

// side is an end of a link.
type side int

const (
	client side = iota
	server
)

// link is one client's connection through a proxy.
//
//	client ──▶ upstream ──▶ server
//	client ◀── downstream ◀── server
type link struct {
	proxy *proxy
	arm   string
	port  int

	started  chan struct{} // closed when both of its routes have their toxics
	routes   [stream.NumDirections]*route
	detoured atomic.Bool // its bytes go through the toxics until it ends, whether they have an effect or not
	off      atomic.Bool // its proxy was switched off
	leaving  atomic.Bool // it is ending, and no change of how it ends concerns it any more
	ending   atomic.Int32

	// Of the link log, under its mutex.
	ended bool // one of its sides has ended, which ends the other
	cut   bool // a toxic of ours has ended it
}

// join gives it its two connections.
func (k *link) join(toClient, toServer *net.TCPConn) {
	k.routes[stream.Upstream] = &route{link: k, side: client, from: toClient, to: toServer}
	k.routes[stream.Downstream] = &route{link: k, side: server, from: toServer, to: toClient}
}

// detour makes all that comes go through the toxics. A nil link is that of a toxic which was added to open ones.
func (k *link) detour() {
	if k != nil {
		k.detoured.Store(true)
	}
}

// interrupt returns when no bytes of it are on their straight way.
func (k *link) interrupt() {
	for _, each := range k.routes {
		each.interrupt()
	}
}

// How a link ends, by whatever cause and on both sides.
const (
	byFIN int32 = iota
	byReset
)

// endBy decides how it ends, unless it is ending already.
func (k *link) endBy(how int32) {
	if k.leaving.Load() || k.ending.Swap(how) == how {
		return
	}
	seconds := -1 // what is unsent is sent, then a FIN
	if how == byReset {
		seconds = 0
	}
	for _, each := range k.routes {
		_ = each.to.SetLinger(seconds)
	}
}

// leave is called before anything shows that it ends. A nil link is that of a toxic which was added to open ones.
func (k *link) leave() {
	if k != nil {
		k.leaving.Store(true)
	}
}

// switchOff ends it on both sides, in no order.
func (k *link) switchOff() {
	k.off.Store(true)
	for _, each := range k.routes {
		each.to.Close()
	}
}

// over reports whether both of its directions have ended.
func (k *link) over() bool {
	for _, each := range k.routes {
		if !each.closed.Load() {
			return false
		}
	}
	return true
}
