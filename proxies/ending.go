package main

import "github.com/Shopify/toxiproxy/v2/toxics"

// Ending decides how connections of its proxy end, open ones and later ones, by whatever cause: by RST if Reset is 1, by FIN if
// it is 0. A proxy that has none decides it when a connection opens (see ResetPeer). What is ending already stays as it is.
//
// It does nothing to bytes, and is neutral with either value.
type Ending struct {
	place
	Reset int64 `json:"reset"`
}

// NewState implements toxics.StatefulToxic.
func (t *Ending) NewState() interface{} {
	pipe := newToxicPipe(t.place)
	return &pipe
}

func (t *Ending) neutral() bool { return true }

// Pipe implements toxics.Toxic.
func (t *Ending) Pipe(stub *toxics.ToxicStub) { stub.State.(*toxicPipe).forward(stub, nil) }

func init() { toxics.Register("ending", new(Ending)) }
