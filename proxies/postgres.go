package main

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode"
)

// messages cuts one direction of a Postgres connection into its messages, however they were split or joined on the way:
//
//	a message       type, one byte ─ length, four bytes, itself included ─ body
//	the very first  of the client has no type; before it may come a request for encryption, answered by a single byte
//
// What is not Postgres, or is encrypted, is not understood from its first bytes on and never looked at again.
// https://www.postgresql.org/docs/current/protocol-message-formats.html
type messages struct {
	opened bool // the start-up is over
	opaque bool
	head   []byte // of the message that is arriving, as far as it has
	left   int    // bytes of its body that are still to come
	wanted string // types of messages whose body is asked for
	body   []byte // of such a message, its first bytes
}

const (
	maxBody     = 64 << 10 // bytes of a body that are kept: a longer statement is recognized by its beginning
	longestWord = 16       // bytes of a word that are looked at
	maxStartup  = 10_000   // bytes; Postgres itself refuses a longer opening
	sslRequest  = 80877103
	gssRequest  = 80877104
	version3    = 3
)

// take calls handle for every wanted message that ends within data.
func (m *messages) take(data []byte, open func(*messages, []byte) []byte, handle func(kind byte, body []byte)) {
	for len(data) > 0 && !m.opaque {
		switch {
		case m.left > 0:
			n := min(m.left, len(data))
			m.keep(data[:n])
			m.left -= n
			data = data[n:]
		case !m.opened:
			data = open(m, data)
			continue
		default:
			data = m.header(data)
		}
		if m.left == 0 && len(m.head) == 5 {
			if m.wants(m.head[0]) {
				handle(m.head[0], m.body)
			}
			m.head, m.body = m.head[:0], m.body[:0]
		}
	}
}

func (m *messages) wants(kind byte) bool { return strings.IndexByte(m.wanted, kind) >= 0 }

func (m *messages) keep(data []byte) {
	if len(m.head) == 5 && m.wants(m.head[0]) {
		m.body = append(m.body, data[:min(len(data), maxBody-len(m.body))]...)
	}
}

// collect moves bytes to the head until it has size of them; false as long as it has not.
func (m *messages) collect(data []byte, size int) ([]byte, bool) {
	n := min(size-len(m.head), len(data))
	m.head = append(m.head, data[:n]...)
	return data[n:], len(m.head) == size
}

func (m *messages) header(data []byte) []byte {
	rest, whole := m.collect(data, 5)
	if whole {
		m.left = int(binary.BigEndian.Uint32(m.head[1:])) - 4
		m.opaque = m.left < 0
	}
	return rest
}

// openingOfClient: requests for encryption, then the start-up message.
func openingOfClient(m *messages, data []byte) []byte {
	rest, whole := m.collect(data, 8)
	if !whole {
		return rest
	}
	length, code := binary.BigEndian.Uint32(m.head), binary.BigEndian.Uint32(m.head[4:])
	m.head = m.head[:0]
	switch {
	case length == 8 && (code == sslRequest || code == gssRequest):
	case code>>16 == version3 && length >= 8 && length <= maxStartup:
		m.opened, m.left = true, int(length)-8
	default: // encrypted by now, a request to cancel, or something else than Postgres
		m.opaque = true
	}
	return rest
}

// openingOfServer: N refuses encryption; anything else is the first message, or encryption begins.
func openingOfServer(m *messages, data []byte) []byte {
	switch data[0] {
	case 'N':
		return data[1:]
	case 'R', 'v', 'E':
		m.opened = true
	default:
		m.opaque = true
	}
	return data
}

// statementKind is the effect of a statement on its transaction.
type statementKind int

const (
	other statementKind = iota
	begins
	writes
	commits
	rollsBack
)

// kindsOf are the kinds of the statements in a text. A semicolon within a literal cuts too often, which
// at worst takes a transaction that only reads for one that writes.
func kindsOf(text string) []statementKind {
	var all []statementKind
	for more := true; more; {
		var statement string
		statement, text, more = strings.Cut(text, ";")
		all = append(all, kindOf(statement))
	}
	return all
}

// word is the first word of a text, in capitals, and what follows it.
func word(text string) (string, string) {
	text = strings.TrimLeftFunc(text, unicode.IsSpace)
	end := strings.IndexFunc(text, unicode.IsSpace)
	if end < 0 {
		end = len(text)
	}
	return strings.ToUpper(text[:min(end, longestWord)]), text[end:]
}

func kindOf(statement string) statementKind {
	first, rest := word(statement)
	switch first {
	case "BEGIN", "START":
		return begins
	case "COMMIT", "END":
		if second, _ := word(rest); second != "PREPARED" {
			return commits
		}
	case "ROLLBACK", "ABORT":
		if second, _ := word(rest); second != "TO" && second != "PREPARED" {
			return rollsBack
		}
	case "INSERT", "UPDATE", "DELETE", "MERGE", "COPY", "CREATE", "ALTER", "DROP", "TRUNCATE":
		return writes
	case "WITH":
		statement = strings.ToUpper(statement)
		for _, verb := range []string{"INSERT INTO", "UPDATE ", "DELETE FROM", "MERGE INTO"} {
			if strings.Contains(statement, verb) {
				return writes
			}
		}
	}
	return other
}

// text is the string at the beginning of a body, and the rest.
func text(body []byte) (string, []byte) {
	before, after, _ := bytes.Cut(body, []byte{0})
	return string(before), after
}

// clientCommits watches what a client sends.
type clientCommits struct {
	messages
	prepared, portals map[string][]statementKind
	wrote             bool // in the transaction under way
}

func newClientCommits() *clientCommits {
	return &clientCommits{
		messages: messages{wanted: "QPBEC"}, prepared: map[string][]statementKind{}, portals: map[string][]statementKind{},
	}
}

// completesCommit reports whether data completes the COMMIT of a transaction that has written.
func (c *clientCommits) completesCommit(data []byte) bool {
	committed := false
	c.take(data, openingOfClient, func(kind byte, body []byte) {
		name, rest := text(body)
		switch kind {
		case 'Q': // a simple query
			committed = c.apply(kindsOf(name)) || committed
		case 'P': // parse: a name, the statement
			statement, _ := text(rest)
			c.prepared[name] = kindsOf(statement)
		case 'B': // bind: a portal, the name of a statement
			statement, _ := text(rest)
			c.portals[name] = c.prepared[statement]
		case 'E': // execute: a portal
			committed = c.apply(c.portals[name]) || committed
		case 'C': // close: S or P, then a name
			if name != "" && name[0] == 'S' {
				delete(c.prepared, name[1:])
			} else if name != "" {
				delete(c.portals, name[1:])
			}
		}
	})
	return committed
}

func (c *clientCommits) apply(kinds []statementKind) bool {
	committed := false
	for _, kind := range kinds {
		switch kind {
		case writes:
			c.wrote = true
		case commits:
			committed = committed || c.wrote
			c.wrote = false
		case begins, rollsBack:
			c.wrote = false
		}
	}
	return committed
}

// serverCommits watches what the server answers.
type serverCommits struct {
	messages
	wrote bool
}

func newServerCommits() *serverCommits { return &serverCommits{messages: messages{wanted: "CZ"}} }

// completesCommit reports whether data completes the answer that a transaction which has written is committed.
func (c *serverCommits) completesCommit(data []byte) bool {
	committed := false
	c.take(data, openingOfServer, func(kind byte, body []byte) {
		if kind == 'Z' { // ready for the next query; I: no transaction is under way
			c.wrote = c.wrote && !bytes.Equal(body, []byte("I"))
			return
		}
		tag, _ := text(body)
		switch kindOf(tag) {
		case writes:
			c.wrote = true
		case commits:
			committed = committed || c.wrote
			c.wrote = false
		}
	})
	return committed
}
