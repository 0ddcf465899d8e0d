package main

import (
	"encoding/json"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog/log"
)

// linkLog writes a line for each client's link that opens or ends, or that a toxic of ours ends or silences. So the
// port of a client leads to the fate of its connection. The side whose source ends first has closed the link, and the other
// ends because of that.
type linkLog struct {
	file  *os.File
	mutex sync.Mutex
}

// historyFormat is the FORMAT of brokenpipe/history/records/base.py.
const historyFormat = 2

// links is nil without -links. It is set once, before the server listens.
var links *linkLog

type line struct {
	Kind     string `json:"k"`
	T        int64  `json:"t"` // CLOCK_MONOTONIC in nanoseconds, which is Python's time.monotonic_ns
	WallNS   int64  `json:"wall_ns,omitempty"`
	PID      int    `json:"pid,omitempty"`
	Writer   string `json:"writer,omitempty"`
	Format   int    `json:"format,omitempty"` // of the history, in the clock only
	Arm      string `json:"arm,omitempty"`    // the proxy's name
	Port     int    `json:"port,omitempty"`
	ClosedBy string `json:"ender,omitempty"`
	Toxic    string `json:"toxic,omitempty"`
	Reason   string `json:"reason,omitempty"`
}

func newLinkLog(path string) (*linkLog, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	l := &linkLog{file: file}
	now := line{Kind: "clock", T: monotonicNS(), WallNS: time.Now().UnixNano(), PID: os.Getpid()}
	now.Writer, now.Format = "toxiproxy", historyFormat
	l.write(now)
	return l, nil
}

// write appends a record in one call to the kernel, so that no line is lost with the process or torn by another.
func (l *linkLog) write(record line) {
	text, err := json.Marshal(record)
	if err == nil {
		_, err = l.file.Write(append(text, '\n'))
	}
	if err != nil { // a full disk, which the harness notices by its own files
		log.Warn().Err(err).Msg("The link log cannot be written")
	}
}

// opened records a link whose client was accepted.
func (l *linkLog) opened(target *link) {
	if l != nil {
		l.write(target.withLink(line{Kind: "link_opened", T: monotonicNS()}))
	}
}

// unavailable records the end of a link whose client was accepted, but whose server is not there. No toxic ever sees it.
func (l *linkLog) unavailable(target *link) {
	if l != nil {
		l.write(target.withLink(line{Kind: "link_ended", T: monotonicNS(), ClosedBy: "no_server"}))
	}
}

// recordEnd is called when the source of a side has closed. The first side has closed the link, and its line is written
// at once: the other side may never end, because a toxic that holds a chunk for a client who has gone waits for good.
func (l *linkLog) recordEnd(target *link, first side) {
	if l == nil {
		return
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if target.ended {
		return
	}
	target.ended = true
	l.write(target.withLink(line{Kind: "link_ended", T: monotonicNS(), ClosedBy: target.closedBy(first)}))
}

// closedBy is the value of the key "ender" for a link of which this side ended first. A proxy that is switched off closes
// both sides in no order.
func (k *link) closedBy(first side) string {
	switch {
	case k.cut:
		return "toxic"
	case first == server || k.off.Load():
		return "server"
	default:
		return "client"
	}
}

// cut records that a toxic has ended a link. A nil link has no arm and no port in its line.
func (l *linkLog) cut(target *link, toxic, reason string) {
	if l == nil {
		return
	}
	if target != nil {
		l.mutex.Lock()
		target.cut = true
		l.mutex.Unlock()
	}
	l.write(target.withLink(line{Kind: "link_cut", T: monotonicNS(), Toxic: toxic, Reason: reason}))
}

// silenced records that a toxic swallows everything on a link from now on.
func (l *linkLog) silenced(target *link, toxic, reason string) {
	if l != nil {
		l.write(target.withLink(line{Kind: "link_silenced", T: monotonicNS(), Toxic: toxic, Reason: reason}))
	}
}

// forgotten records that a toxic has given up a link. Neither side notices until the client sends again.
func (l *linkLog) forgotten(target *link, toxic, reason string) {
	if l != nil {
		l.write(target.withLink(line{Kind: "link_forgotten", T: monotonicNS(), Toxic: toxic, Reason: reason}))
	}
}

// withLink adds the link's arm and port to a record.
func (k *link) withLink(record line) line {
	if k != nil {
		record.Arm, record.Port = k.arm, k.port
	}
	return record
}
