package main

import (
	"bytes"
	"encoding/json"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"
	"github.com/rs/zerolog/log"
)

// linkLog writes a line for each client's link that opens, ends, or is ended or silenced by a toxic of ours, so that a
// client's port leads to what became of its connection.
//
// Toxiproxy tells its logger of links, and nobody else. A linkLog stands between that logger and its output, takes the
// messages it knows and passes on what the output wants. There are a few messages at a link's opening and at its end,
// and none for the bytes in between.
type linkLog struct {
	rest zerolog.LevelWriter // where the log proper goes
	file *os.File

	mutex sync.Mutex
	// By arm and client's address, oldest first: a port may be in use again before all is said of the link before.
	open map[string][]*link
	// The link that each proxy has accepted last. A proxy accepts one after the other.
	last map[string]*link
	// Which proxy a toxic belongs to, and which one a goroutine accepts for: nobody tells, see current.
	ofToxic     map[toxics.Toxic]string
	ofGoroutine map[uint64]string
}

// link is one client's connection through a proxy.
//
//	client ──▶ upstream ──▶ server
//	client ◀── downstream ◀── server
type link struct {
	arm  string
	port int

	over      map[string]bool // the directions that have ended
	endedNS   int64           // when the first of them did, which takes the other along
	evicted   bool            // the proxy closed the client's socket, not the client
	clientWas bool            // ... but only after it had noticed that the client was gone
	cut       bool            // a toxic of ours did it
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
		rest: rest, file: file, open: map[string][]*link{}, last: map[string]*link{},
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
const closedByProxy = ": use of closed network connection" // Go's own words for reading what the program has closed

var (
	saysMessage = []byte(`"message":"`)
	saysEnd     = []byte(`"}`)
	saysWhom    = []byte(" 127.0.0.1:")
)

var says = map[string]func(*linkLog, said){
	"Accepted client":                       (*linkLog).began,
	"Unable to open connection to upstream": (*linkLog).stillborn,
	"Source terminated":                     (*linkLog).sourceEnded,
	"Could not write to destination":        (*linkLog).notTaken,
	"RemoveConnection":                      (*linkLog).ended,
}

// said are the fields of those messages. Not every message has all.
type said struct {
	Message string
	Name    string // the proxy's
	Proxy   string // the same, where Name is missing
	Client  string // its address
	Link    string // its address and a direction, in one word
	Error   string
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
	words, _, _ = bytes.Cut(words, saysWhom)
	take := says[string(words)]
	if take == nil || json.Unmarshal(message, &told) != nil {
		return nil, told
	}
	return take, told
}

func (l *linkLog) began(told said) {
	_, digits, _ := strings.Cut(told.Client, ":")
	port, _ := strconv.Atoi(digits)
	born := &link{arm: told.Name, port: port, over: map[string]bool{}}
	l.open[key(told.Name, told.Client)] = append(l.open[key(told.Name, told.Client)], born)
	l.last[told.Name] = born
	l.ofGoroutine[goroutine()] = told.Name
	l.write(line{Kind: "link_opened", T: monotonicNS(), Arm: born.arm, Port: born.port})
}

// stillborn: the client was accepted, but there is no server. Nothing else will be said of it.
func (l *linkLog) stillborn(told said) {
	whose := key(told.Name, told.Client)
	if born := l.oldest(whose, "upstream"); born != nil {
		l.write(line{Kind: "link_ended", T: monotonicNS(), Arm: born.arm, Port: born.port, Ender: "no_server"})
		l.forget(whose, born)
	}
}

// sourceEnded is said before the direction ends, if that was no orderly end. Of the client's socket the error names the
// client; of the server's socket it does not, and nobody is found.
func (l *linkLog) sourceEnded(told said) {
	addresses, found := strings.CutSuffix(told.Error, closedByProxy)
	client := addresses[strings.LastIndex(addresses, ">")+1:] // "writeto tcp PROXY->CLIENT: read tcp PROXY->CLIENT"
	if victim := l.oldest(key(told.Name, client), "upstream"); found && victim != nil {
		victim.evicted = true
	}
}

// notTaken: an answer could not be delivered, which a client that has gone away causes.
func (l *linkLog) notTaken(told said) {
	client, isAnswer := strings.CutSuffix(told.Link, "downstream")
	if gone := l.oldest(key(told.Proxy, client), "downstream"); isAnswer && gone != nil {
		gone.clientWas = !strings.HasSuffix(told.Error, closedByProxy)
	}
}

// ended: a direction is over. When both are, all that could be said has been.
func (l *linkLog) ended(told said) {
	client := strings.TrimRight(told.Link, "abcdefghijklmnopqrstuvwxyz")
	direction := strings.TrimPrefix(told.Link, client)
	ending := l.oldest(key(told.Proxy, client), direction)
	if ending == nil {
		return
	}
	if ending.over[direction] = true; len(ending.over) == 1 {
		ending.endedNS = monotonicNS()
		return
	}
	l.write(line{Kind: "link_ended", T: ending.endedNS, Arm: ending.arm, Port: ending.port, Ender: ending.ender()})
	l.forget(key(told.Proxy, client), ending)
}

func (k *link) ender() string {
	switch {
	case k.cut:
		return "toxic"
	case k.evicted && !k.clientWas:
		return "server"
	default:
		return "client"
	}
}

// oldest is the first link at that address whose direction has not ended, or nil.
func (l *linkLog) oldest(address, direction string) *link {
	for _, each := range l.open[address] {
		if !each.over[direction] {
			return each
		}
	}
	return nil
}

func (l *linkLog) forget(address string, gone *link) {
	l.open[address] = slices.DeleteFunc(l.open[address], func(each *link) bool { return each == gone })
	if len(l.open[address]) == 0 {
		delete(l.open, address)
	}
}

func key(arm, client string) string { return arm + " " + client }

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
