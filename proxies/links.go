package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"
	"github.com/rs/zerolog/log"
)

// linkLog writes a line for each client's link that opens or ends, or that a toxic of ours ends or silences. So the
// port of a client leads to the fate of its connection.
//
// Only Toxiproxy knows that a link opens, and it logs that. A linkLog stands between its logger and the logger's output,
// and handles the two messages about it. The end of a link is seen by toxics of ours, one in each direction: the side
// whose source ends first has closed the link, and the other direction ends because of that.
type linkLog struct {
	output zerolog.LevelWriter // of the log itself
	file   *os.File

	// disabled reports whether a proxy was switched off, which closes both sides of its links in no order.
	disabled func(arm string) bool

	mutex sync.Mutex
	// The link that each proxy has accepted last. A proxy accepts one after the other.
	lastAccepted map[string]*link
	// The proxy of a toxic, and the proxy for which a goroutine accepts; see currentLink.
	armOfToxic     map[toxics.Toxic]string
	armOfGoroutine map[uint64]string
}

// historyFormat is the FORMAT of brokenpipe/history/records/base.py.
const historyFormat = 2

// side is an end of a link.
type side int

const (
	none side = iota // of a toxic that does not report ends
	client
	server
)

// link is one client's connection through a proxy.
//
//	client ──▶ upstream ──▶ server
//	client ◀── downstream ◀── server
type link struct {
	arm  string
	port int

	ended bool // one of its sides has ended, which ends the other
	cut   bool // a toxic of ours has ended it
}

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

func newLinkLog(path string, output zerolog.LevelWriter) (*linkLog, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	l := &linkLog{
		output: output, file: file, disabled: func(string) bool { return false }, lastAccepted: map[string]*link{},
		armOfToxic: map[toxics.Toxic]string{}, armOfGoroutine: map[uint64]string{},
	}
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

// Write implements io.Writer.
func (l *linkLog) Write(message []byte) (int, error) { return l.output.Write(message) }

// Messages of Toxiproxy, word for word; tests fail when it changes them.
var (
	messagePrefix = []byte(`"message":"`)
	messageSuffix = []byte(`"}`)
)

var handlers = map[string]func(*linkLog, logFields){
	"Accepted client":                       (*linkLog).onAccepted,
	"Unable to open connection to upstream": (*linkLog).onUpstreamUnavailable,
}

// logFields are the fields of those messages.
type logFields struct {
	Message string
	Name    string // the proxy's
	Client  string // its address
}

// WriteLevel implements zerolog.LevelWriter. The logger calls it in the goroutine that logs.
func (l *linkLog) WriteLevel(level zerolog.Level, message []byte) (int, error) {
	if handle, fields := parseLogMessage(message); handle != nil {
		l.mutex.Lock()
		handle(l, fields)
		l.mutex.Unlock()
	}
	if level < zerolog.InfoLevel {
		return len(message), nil
	}
	return l.output.WriteLevel(level, message)
}

// parseLogMessage returns the handler of a message and its fields, or nil. The text is at the end of a message, so most
// messages are not parsed as JSON.
func parseLogMessage(message []byte) (func(*linkLog, logFields), logFields) {
	var fields logFields
	start := bytes.LastIndex(message, messagePrefix)
	if start < 0 {
		return nil, fields
	}
	text, _, _ := bytes.Cut(message[start+len(messagePrefix):], messageSuffix)
	handle := handlers[string(text)]
	if handle == nil || json.Unmarshal(message, &fields) != nil {
		return nil, fields
	}
	return handle, fields
}

// onAccepted records a link that opens.
func (l *linkLog) onAccepted(fields logFields) {
	_, digits, _ := net.SplitHostPort(fields.Client)
	port, _ := strconv.Atoi(digits)
	opened := &link{arm: fields.Name, port: port}
	l.lastAccepted[fields.Name] = opened
	l.armOfGoroutine[goroutineID()] = fields.Name
	l.write(line{Kind: "link_opened", T: monotonicNS(), Arm: opened.arm, Port: opened.port})
}

// onUpstreamUnavailable records the end of a link whose client was accepted, but whose server is not there. No toxic
// ever sees this link.
func (l *linkLog) onUpstreamUnavailable(fields logFields) {
	if opened := l.lastAccepted[fields.Name]; opened != nil {
		l.write(line{Kind: "link_ended", T: monotonicNS(), Arm: opened.arm, Port: opened.port, ClosedBy: "no_server"})
	}
}

// recordEnd is called when the source of a side has closed. The first side has closed the link, and its line is written
// at once: the other side may never end, because a toxic that holds a chunk for a client who has gone waits for good.
func (l *linkLog) recordEnd(target *link, first side) {
	if l == nil || target == nil || first == none {
		return
	}
	off := l.disabled(target.arm)
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if target.ended {
		return
	}
	target.ended = true
	l.write(line{Kind: "link_ended", T: monotonicNS(), Arm: target.arm, Port: target.port, ClosedBy: target.closedBy(first, off)})
}

// closedBy is the value of the key "ender" for a link of which this side ended first. off: its proxy is switched off.
func (k *link) closedBy(first side, off bool) string {
	switch {
	case k.cut:
		return "toxic"
	case off || first == server:
		return "server"
	default:
		return "client"
	}
}

// currentLink is the link that is being opened, for a toxic's NewState. Toxiproxy calls NewState in the goroutine that has
// just accepted the client, so at the first call the goroutine leads to the proxy of the toxic; from then on that is
// known. It is nil for a toxic that is added to open links.
func (l *linkLog) currentLink(toxic toxics.Toxic) *link {
	if l == nil {
		return nil
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	arm, known := l.armOfToxic[toxic]
	if !known {
		if arm, known = l.armOfGoroutine[goroutineID()]; known {
			l.armOfToxic[toxic] = arm
		}
	}
	return l.lastAccepted[arm]
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

// goroutineID is the number of the calling goroutine. Go offers it only in the first line of a stack trace, which takes
// some microseconds: once for each link.
func goroutineID() uint64 {
	var trace [64]byte
	text := trace[len("goroutine "):runtime.Stack(trace[:], false)]
	digits, _, _ := bytes.Cut(text, []byte(" "))
	number, _ := strconv.ParseUint(string(digits), 10, 64)
	return number
}
