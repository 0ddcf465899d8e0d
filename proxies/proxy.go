package main

import (
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
)

const acceptPause = 10 * time.Millisecond // after a failed accept, for example when there are no descriptors left

// proxy is one of Toxiproxy's, with its name, addresses and toxics, whose clients are accepted here. Toxiproxy never starts
// it. A connection is given to Toxiproxy in two halves of ours (see route), so that bytes need not pass through toxics that
// have no effect.
type proxy struct {
	*toxiproxy.Proxy
	api *toxiproxy.ApiServer

	// changing is held while toxics change and while a link starts, so that each sees the other done or not begun.
	changing sync.Mutex
	opening  *link       // the link that starts right now
	neutral  atomic.Bool // no toxic has an effect

	listener net.Listener
	stopped  chan struct{} // closed when nobody is accepted any more

	mutex sync.Mutex
	links map[*link]struct{}
}

func newProxy(server *toxiproxy.ApiServer, name, listen, upstream string) *proxy {
	p := &proxy{Proxy: toxiproxy.NewProxy(server, name, listen, upstream), api: server, links: map[*link]struct{}{}}
	p.neutral.Store(true)
	return p
}

// start lets it listen.
func (p *proxy) start() error {
	p.Lock()
	defer p.Unlock()
	return p.startLocked()
}

func (p *proxy) startLocked() error {
	if p.Enabled {
		return toxiproxy.ErrProxyAlreadyStarted
	}
	listener, err := net.Listen("tcp", p.Listen)
	if err != nil {
		return err
	}
	p.listener, p.stopped = listener, make(chan struct{})
	p.Listen, p.Enabled = listener.Addr().String(), true
	p.Logger.Info().Msg("Started proxy")
	go p.accept(listener, p.stopped)
	return nil
}

// stop closes its listener, then its connections.
func (p *proxy) stop() {
	p.Lock()
	defer p.Unlock()
	p.stopLocked()
}

func (p *proxy) stopLocked() {
	if !p.Enabled {
		return
	}
	p.Enabled = false
	p.listener.Close()
	<-p.stopped
	for _, each := range p.open() {
		each.switchOff()
	}
	p.Logger.Info().Msg("Terminated proxy")
}

// update changes its addresses, and whether it listens.
func (p *proxy) update(wanted proxyFields) error {
	p.Lock()
	defer p.Unlock()
	differs, err := p.Differs(&toxiproxy.Proxy{Listen: wanted.Listen, Upstream: wanted.Upstream})
	if err != nil {
		return err
	}
	if differs {
		p.stopLocked()
		p.Listen, p.Upstream = wanted.Listen, wanted.Upstream
	}
	switch {
	case wanted.enabled() == p.Enabled:
		return nil
	case wanted.enabled():
		return p.startLocked()
	default:
		p.stopLocked()
		return nil
	}
}

// open are the links that have not ended.
func (p *proxy) open() []*link {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	all := make([]*link, 0, len(p.links))
	for each := range p.links {
		all = append(all, each)
	}
	return all
}

func (p *proxy) accept(listener net.Listener, stopped chan struct{}) {
	defer close(stopped)
	for {
		client, err := listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			p.Logger.Warn().Err(err).Msg("Error while accepting client")
			time.Sleep(acceptPause)
		default:
			p.connect(client.(*net.TCPConn))
		}
	}
}

// connect opens the link of a client that was accepted.
func (p *proxy) connect(client *net.TCPConn) {
	address := client.RemoteAddr().String()
	opened := &link{proxy: p, arm: p.Name, port: client.RemoteAddr().(*net.TCPAddr).Port, started: make(chan struct{})}
	links.opened(opened)
	p.Logger.Info().Str("client", address).Msg("Accepted client")
	server, err := net.Dial("tcp", p.Upstream)
	if err != nil {
		p.Logger.Err(err).Str("client", address).Msg("Unable to open connection to upstream")
		links.unavailable(opened)
		client.Close()
		return
	}
	opened.join(client, server.(*net.TCPConn))
	p.mutex.Lock()
	p.links[opened] = struct{}{}
	p.mutex.Unlock()
	p.begin(opened, address)
}

// begin gives a link to Toxiproxy, which makes the states of the toxics for it and starts them.
func (p *proxy) begin(opened *link, name string) {
	p.changing.Lock()
	defer p.changing.Unlock()
	opened.endBy(p.ending())
	p.opening = opened
	up, down := opened.routes[stream.Upstream], opened.routes[stream.Downstream]
	p.Toxics.StartLink(p.api, name+"upstream", source{up}, sink{up}, stream.Upstream)
	p.Toxics.StartLink(p.api, name+"downstream", source{down}, sink{down}, stream.Downstream)
	p.opening = nil
	close(opened.started)
}

// ending is how links that start now are to end.
func (p *proxy) ending() int32 {
	for _, each := range p.toxics() {
		switch t := each.Toxic.(type) {
		case *ResetPeer:
			return byReset
		case *Ending:
			if t.Reset != 0 {
				return byReset
			}
		}
	}
	return byFIN
}

// endOpenLinks makes the open links end as those that start now, if the proxy has a toxic that decides so.
func (p *proxy) endOpenLinks() {
	decides := slices.ContainsFunc(p.toxics(), func(each *toxics.ToxicWrapper) bool {
		_, decides := each.Toxic.(*Ending)
		return decides
	})
	if !decides {
		return
	}
	for _, each := range p.open() {
		each.endBy(p.ending())
	}
}

// forget is called when both directions of a link have ended.
func (p *proxy) forget(ended *link) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	delete(p.links, ended)
}

// change runs what changes its toxics. Meanwhile, and afterwards as long as one of them has an effect, whatever passes goes
// through them. anew: some are added or removed, and those of the open links are not all ours to watch any more.
func (p *proxy) change(anew bool, act func()) {
	p.changing.Lock()
	defer p.changing.Unlock()
	p.neutral.Store(false)
	for _, each := range p.open() {
		if anew {
			each.detour()
		}
		each.interrupt()
	}
	act()
	p.endOpenLinks()
	p.neutral.Store(p.adopt())
}

// adopt makes the toxics known to this proxy, and reports whether none of them has an effect.
func (p *proxy) adopt() bool {
	neutral := true
	for _, each := range p.toxics() {
		if ours, ok := each.Toxic.(interface{ setPlace(place) }); ok {
			ours.setPlace(place{proxy: p, direction: each.Direction})
		}
		neutral = neutral && isNeutral(each)
	}
	return neutral
}

func (p *proxy) toxics() []*toxics.ToxicWrapper {
	var all []*toxics.ToxicWrapper
	for _, each := range p.Toxics.GetToxicArray() {
		all = append(all, each.(*toxics.ToxicWrapper))
	}
	return all
}

func isNeutral(toxic *toxics.ToxicWrapper) bool {
	if toxic.Toxicity <= 0 { // never run
		return true
	}
	switch t := toxic.Toxic.(type) {
	case interface{ neutral() bool }:
		return t.neutral()
	case *toxics.LatencyToxic:
		return t.Latency == 0 && t.Jitter == 0
	default:
		return false
	}
}
