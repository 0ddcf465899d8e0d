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

// linkLog writes a line for each client's link that opens, ends, or is ended or silenced by a toxic of ours, so that a
// client's port leads to what became of its connection.
//
// Who opened a link is known to Toxiproxy alone, which tells its logger. A linkLog stands between that logger and its
// output and takes the two messages that say so. How a link ended is seen by toxics of ours, one in each direction:
// the side whose source is over first has ended it, and the other direction ends because of that.
type linkLog struct {
	rest zerolog.LevelWriter // where the log proper goes
	file *os.File

	// disabled tells whether a proxy was switched off, which closes both sides of its links in no order.
	disabled func(arm string) bool

	mutex sync.Mutex
	// The link that each proxy has accepted last. A proxy accepts one after the other.
	last map[string]*link
	// Which proxy a toxic belongs to, and which one a goroutine accepts for: nobody tells, see current.
	ofToxic     map[toxics.Toxic]string
	ofGoroutine map[uint64]string
}

// side is an end of a link.
type side int

const (
	none side = iota // of a toxic that does not tell
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

	over bool // one of its sides is, which takes the other along
	cut  bool // a toxic of ours did it
}

// links is nil without -links. It is set once, before the server listens.
var links *linkLog

type line struct {
	Kind   string `json:"k"`
	T      int64  `json:"t"` // CLOCK_MONOTONIC in nanoseconds, which is Python's time.monotonic_ns
	WallNS int64  `json:"wall_ns,omitempty"`
	PID    int    `json:"pid,omitempty"`
	Writer string `json:"writer,omitempty"`
	Arm    string `json:"arm,omitempty"` // the proxy's name
	Port   int    `json:"port,omitempty"`
	Ender  string `json:"ender,omitempty"`
	Toxic  string `json:"toxic,omitempty"`
	Reason string `json:"reason,omitempty"`
}

func newLinkLog(path string, rest zerolog.LevelWriter) (*linkLog, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	l := &linkLog{
		rest: rest, file: file, disabled: func(string) bool { return false }, last: map[string]*link{},
		ofToxic: map[toxics.Toxic]string{}, ofGoroutine: map[uint64]string{},
	}
	l.write(line{Kind: "clock", T: monotonicNS(), WallNS: time.Now().UnixNano(), PID: os.Getpid(), Writer: "toxiproxy"})
	return l, nil
}

// write is one call to the kernel for each line, so that no line is lost with the process and none is torn by another.
func (l *linkLog) write(what line) {
	text, err := json.Marshal(what)
	if err == nil {
		_, err = l.file.Write(append(text, '\n'))
	}
	if err != nil { // a full disk: the harness notices by its own files
		log.Warn().Err(err).Msg("The link log cannot be written")
	}
}

// Write implements io.Writer.
func (l *linkLog) Write(message []byte) (int, error) { return l.rest.Write(message) }

// What Toxiproxy says, word for word; the tests notice when it chooses other words.
var (
	saysMessage = []byte(`"message":"`)
	saysEnd     = []byte(`"}`)
)

var says = map[string]func(*linkLog, said){
	"Accepted client":                       (*linkLog).began,
	"Unable to open connection to upstream": (*linkLog).stillborn,
}

// said are the fields of those messages.
type said struct {
	Message string
	Name    string // the proxy's
	Client  string // its address
}

// WriteLevel implements zerolog.LevelWriter. The logger calls it in the goroutine that has something to say.
func (l *linkLog) WriteLevel(level zerolog.Level, message []byte) (int, error) {
	if take, told := understood(message); take != nil {
		l.mutex.Lock()
		take(l, told)
		l.mutex.Unlock()
	}
	if level < zerolog.InfoLevel {
		return len(message), nil
	}
	return l.rest.WriteLevel(level, message)
}

// understood is what to do about a message, or nil. The words stand at its end, and most are not even parsed.
func understood(message []byte) (func(*linkLog, said), said) {
	var told said
	start := bytes.LastIndex(message, saysMessage)
	if start < 0 {
		return nil, told
	}
	words, _, _ := bytes.Cut(message[start+len(saysMessage):], saysEnd)
	take := says[string(words)]
	if take == nil || json.Unmarshal(message, &told) != nil {
		return nil, told
	}
	return take, told
}

func (l *linkLog) began(told said) {
	_, digits, _ := net.SplitHostPort(told.Client)
	port, _ := strconv.Atoi(digits)
	born := &link{arm: told.Name, port: port}
	l.last[told.Name] = born
	l.ofGoroutine[goroutine()] = told.Name
	l.write(line{Kind: "link_opened", T: monotonicNS(), Arm: born.arm, Port: born.port})
}

// stillborn: the client was accepted, but there is no server. No toxic ever sees this link, and nothing else is said.
func (l *linkLog) stillborn(told said) {
	if born := l.last[told.Name]; born != nil {
		l.write(line{Kind: "link_ended", T: monotonicNS(), Arm: born.arm, Port: born.port, Ender: "no_server"})
	}
}

// over is called when the source of a side has closed. The first side has ended the link, and that is told at once: the
// other may never be heard of, for a toxic that holds a chunk for a client who has gone waits for good.
func (l *linkLog) over(whose *link, gone side) {
	if l == nil || whose == nil || gone == none {
		return
	}
	off := l.disabled(whose.arm)
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if whose.over {
		return
	}
	whose.over = true
	l.write(line{Kind: "link_ended", T: monotonicNS(), Arm: whose.arm, Port: whose.port, Ender: whose.ender(gone, off)})
}

// ender is who has ended a link of which this side was over first, with its proxy switched off or not.
func (k *link) ender(gone side, off bool) string {
	switch {
	case k.cut:
		return "toxic"
	case off || gone == server:
		return "server"
	default:
		return "client"
	}
}

// current is the link that is being opened, asked by a toxic's NewState. Toxiproxy calls that in the goroutine that has
// just accepted the client, so the first time the goroutine tells which proxy the toxic belongs to; from then on it is
// known. The answer is nil for a toxic that is added to links which are open.
func (l *linkLog) current(asking toxics.Toxic) *link {
	if l == nil {
		return nil
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	arm, known := l.ofToxic[asking]
	if !known {
		if arm, known = l.ofGoroutine[goroutine()]; known {
			l.ofToxic[asking] = arm
		}
	}
	return l.last[arm]
}

// cut writes that a toxic has ended a link; silenced, that it has made it mute. A link that is nil is not named.
func (l *linkLog) cut(whose *link, toxic, reason string) {
	if l == nil {
		return
	}
	if whose != nil {
		l.mutex.Lock()
		whose.cut = true
		l.mutex.Unlock()
	}
	l.write(whose.named(line{Kind: "link_cut", T: monotonicNS(), Toxic: toxic, Reason: reason}))
}

func (l *linkLog) silenced(whose *link, toxic, reason string) {
	if l != nil {
		l.write(whose.named(line{Kind: "link_silenced", T: monotonicNS(), Toxic: toxic, Reason: reason}))
	}
}

// forgotten writes that a toxic has given up a link, of which neither side knows until the client speaks again.
func (l *linkLog) forgotten(whose *link, toxic, reason string) {
	if l != nil {
		l.write(whose.named(line{Kind: "link_forgotten", T: monotonicNS(), Toxic: toxic, Reason: reason}))
	}
}

func (k *link) named(told line) line {
	if k != nil {
		told.Arm, told.Port = k.arm, k.port
	}
	return told
}

// goroutine is the number of the one that asks. Go offers it only as the first line of a stack trace, which takes some
// microseconds: once for each link.
func goroutine() uint64 {
	var trace [64]byte
	text := trace[len("goroutine "):runtime.Stack(trace[:], false)]
	digits, _, _ := bytes.Cut(text, []byte(" "))
	number, _ := strconv.ParseUint(string(digits), 10, 64)
	return number
}
