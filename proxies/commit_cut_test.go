package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func sized(head string, body string) []byte {
	length := binary.BigEndian.AppendUint32([]byte(head), uint32(len(body)+4))
	return append(length, body...)
}

func request(code uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 8), code)
}

func query(sql string) []byte { return sized("Q", sql+"\x00") }

func tag(text string) []byte { return sized("C", text+"\x00") }

var (
	startUp = append(binary.BigEndian.AppendUint32(nil, 22), "\x00\x03\x00\x00user\x00someone\x00\x00"...)
	syncs   = sized("S", "")
	execute = sized("E", "\x00\x00\x00\x00\x00")
	ready   = sized("Z", "I")
	inside  = sized("Z", "T")
	welcome = append(sized("R", "\x00\x00\x00\x00"), ready...)
)

func parse(name, sql string) []byte { return sized("P", name+"\x00"+sql+"\x00\x00\x00") }

func bind(statement string) []byte {
	return sized("B", "\x00"+statement+"\x00\x00\x00\x00\x00\x00\x00")
}

func run(statement string) []byte { return bytes.Join([][]byte{bind(statement), execute, syncs}, nil) }

// What counts as the COMMIT of a transaction that has written, and what does not, sent by either side.
var conversations = []struct {
	name       string
	fromServer bool
	sent       [][]byte
	commits    []int // the indices in sent at which one is complete
}{
	{"asyncpg", false, [][]byte{request(sslRequest), startUp, query("BEGIN;"), parse("s1", "INSERT INTO t VALUES ($1)"), run("s1"), query("COMMIT;")}, []int{5}},
	{"psycopg", false, [][]byte{request(gssRequest), request(sslRequest), startUp, query("BEGIN"), parse("", "insert into t values (1)"), run(""), query("COMMIT")}, []int{6}},
	{"psycopg2", false, [][]byte{startUp, query("BEGIN"), query("INSERT INTO t VALUES ('a;b')"), query("COMMIT"), query("BEGIN"), query("SELECT 1"), query("COMMIT")}, []int{3}},
	{"a commit that is prepared once", false, [][]byte{startUp, parse("c", "COMMIT"), query("BEGIN"), query("UPDATE t SET x = 1"), bind("c"), execute, syncs, query("BEGIN"), query("DELETE FROM t"), bind("c"), execute, syncs}, []int{5, 10}},
	{"all in one text", false, [][]byte{startUp, query("BEGIN; INSERT INTO t VALUES (1); COMMIT")}, []int{1}},
	{"a savepoint", false, [][]byte{startUp, query("BEGIN"), query("INSERT INTO t VALUES (1)"), query("SAVEPOINT s"), query("ROLLBACK TO SAVEPOINT s"), query("  end ;")}, []int{5}},
	{"writing in a WITH", false, [][]byte{startUp, query("BEGIN"), query("WITH x AS (INSERT INTO t VALUES (1) RETURNING id) SELECT * FROM x"), query("COMMIT")}, []int{3}},
	{"rolled back", false, [][]byte{startUp, query("BEGIN"), query("INSERT INTO t VALUES (1)"), query("ROLLBACK"), query("BEGIN"), query("COMMIT")}, nil},
	{"only reading", false, [][]byte{startUp, query("BEGIN"), query("SELECT 'INSERT'"), query("COMMIT")}, nil},
	{"two phases", false, [][]byte{startUp, query("INSERT INTO t VALUES (1)"), query("COMMIT PREPARED 'x'")}, nil},
	{"a literal", false, [][]byte{startUp, query("BEGIN"), query("INSERT INTO t VALUES ('x; COMMIT')")}, nil},
	{"a long statement", false, [][]byte{startUp, query("BEGIN"), query("INSERT INTO t VALUES ('" + strings.Repeat("x", 3*maxBody) + "')"), query("COMMIT")}, []int{3}},
	{"encrypted", false, [][]byte{request(sslRequest), []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), query("INSERT INTO t VALUES (1)"), query("COMMIT")}, nil},
	{"something else", false, [][]byte{[]byte("GET / HTTP/1.1\r\n\r\n"), query("INSERT INTO t VALUES (1)"), query("COMMIT")}, nil},
	{"no length", false, [][]byte{startUp, []byte("Q\x00\x00\x00\x01"), query("INSERT INTO t VALUES (1)"), query("COMMIT")}, nil},

	{"the server's answers", true, [][]byte{[]byte("N"), welcome, tag("BEGIN"), inside, tag("INSERT 0 1"), inside, tag("COMMIT"), ready}, []int{6}},
	{"its answers, only reading", true, [][]byte{welcome, tag("BEGIN"), inside, tag("SELECT 1"), inside, tag("COMMIT"), ready}, nil},
	{"its answers, each by itself", true, [][]byte{welcome, tag("INSERT 0 1"), ready, tag("BEGIN"), inside, tag("COMMIT"), ready}, nil},
	{"its answers, a savepoint", true, [][]byte{welcome, tag("BEGIN"), inside, tag("UPDATE 1"), inside, tag("ROLLBACK"), inside, tag("COMMIT"), ready}, []int{7}},
	{"its answers, failed", true, [][]byte{welcome, tag("BEGIN"), inside, tag("INSERT 0 1"), sized("E", "SERROR\x00\x00"), sized("Z", "E"), tag("ROLLBACK"), ready, tag("COMMIT"), ready}, nil},
	{"its answers, encrypted", true, [][]byte{[]byte("S"), welcome, tag("INSERT 0 1"), tag("COMMIT")}, nil},
}

func watcher(fromServer bool) commitDetector {
	if fromServer {
		return newServerCommits()
	}
	return newClientCommits()
}

// However the bytes are split and joined on the way, a COMMIT is reported at the chunk that completes it, and by no other.
func TestCommitsAreFoundHoweverTheyAreCut(t *testing.T) {
	t.Parallel()
	for _, one := range conversations {
		t.Run(one.name, func(t *testing.T) {
			whole := bytes.Join(one.sent, nil)
			want := map[int]bool{} // the offsets at which a commit is complete
			for _, index := range one.commits {
				want[len(bytes.Join(one.sent[:index+1], nil))] = true
			}
			for _, size := range []int{1, 2, 3, 5, 7, 16, 100, 32 << 10, len(whole)} {
				commits := watcher(one.fromServer)
				for start := 0; start < len(whole); start += size {
					end := min(start+size, len(whole))
					expected := false
					for offset := range want {
						expected = expected || (start < offset && offset <= end)
					}
					if got := commits.completesCommit(whole[start:end]); got != expected {
						t.Fatalf("in chunks of %d: bytes %d to %d: %v, expected %v", size, start, end, got, expected)
					}
				}
			}
		})
	}
}

// Any bytes are taken, whatever they are.
func FuzzCommitsTakesAnything(f *testing.F) {
	for _, one := range conversations {
		f.Add(bytes.Join(one.sent, nil), one.fromServer, 3)
	}
	f.Fuzz(func(t *testing.T, data []byte, fromServer bool, size int) {
		size = max(1, size)
		for commits := watcher(fromServer); len(data) > 0; data = data[min(size, len(data)):] {
			commits.completesCommit(data[:min(size, len(data))])
		}
	})
}

// book is an echo that shows afterwards all that it was sent.
type book struct{ entries chan []byte }

func (b book) serve(conn net.Conn) {
	defer conn.Close()
	var entry bytes.Buffer
	_, _ = io.Copy(conn, io.TeeReader(conn, &entry))
	b.entries <- entry.Bytes()
}

// echoed sends and waits until all of it has come back.
func echoed(t *testing.T, conn net.Conn, data []byte) {
	t.Helper()
	send(t, conn, data)
	got := make([]byte, len(data))
	if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("not echoed: %v", err)
	}
}

func transaction() []byte {
	return bytes.Join([][]byte{query("BEGIN"), query("INSERT INTO t VALUES (1)")}, nil)
}

// After a strike one COMMIT is swallowed: its connection ends, the server never sees it. The next one passes.
func TestAStrikeCutsOneCommit(t *testing.T) {
	howIn(t, func(t *testing.T, armed bool, end string) {
		server := book{make(chan []byte, 2)}
		w := newWire(t, server.serve, "commit_lost", armed)
		opening := append(append([]byte{}, startUp...), transaction()...)
		cutOff, spared := w.dial(), w.dial()
		echoed(t, cutOff, opening)
		echoed(t, spared, opening)
		w.update("strike", 7)
		struck := time.Now()
		send(t, cutOff, query("COMMIT"))
		w.expect(cutOff, end, struck, 0, slack)
		if got := <-server.entries; !bytes.Equal(got, opening) {
			t.Errorf("another thing arrived than was sent before the COMMIT: %q", got)
		}
		expectStory(t, t.Name(), portOf(cutOff), "opened cutcommit_cut endedtoxic")
		echoed(t, spared, query("COMMIT"))
	})
}

func send(t *testing.T, conn net.Conn, data []byte) {
	t.Helper()
	if _, err := conn.Write(data); err != nil {
		t.Fatal(err)
	}
}

// Neutral, healed before a COMMIT came, or given a strike twice, it lets everything pass, echoes of anything included.
func TestCommitCutIsNeutral(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "commit_lost", true)
	conn := w.dial()
	sent := append(append(startUp, transaction()...), query("COMMIT")...)
	exchanges := func() {
		t.Helper()
		echoed(t, conn, sent)
		sent = append(transaction(), query("COMMIT")...)
	}
	exchanges()
	w.update("strike", 3)
	w.update("strike", 0)
	exchanges()
	w.update("strike", 4)
	other := w.dial()
	send(t, other, append(append(startUp, transaction()...), query("COMMIT")...))
	if seen, _ := watch(other, time.Second); seen != reset {
		t.Fatalf("the strike did not hit: %s", seen)
	}
	w.update("strike", 4)
	exchanges()
	w.ping(w.dial())
}

// The API returns which strike has hit.
func TestCommitCutTellsWhatItHit(t *testing.T) {
	t.Parallel()
	w := newWire(t, echo, "commit_lost", true)
	w.update("strike", 11)
	conn := w.dial()
	send(t, conn, append(append(startUp, transaction()...), query("COMMIT")...))
	watch(conn, time.Second)
	toxic := w.proxy.Toxics.GetToxic("it")
	if got, err := toxic.Toxic.(*CommitLost).MarshalJSON(); err != nil || string(got) != `{"cut":11,"strike":11}` {
		t.Errorf("it returns %s, %v", got, err)
	}
}

// An update returns at once even if a connection's destination has stopped reading.
func TestCommitCutAnswersBehindADeafServer(t *testing.T) {
	t.Parallel()
	w := newWire(t, deaf, "commit_lost", true)
	w.stuffed()
	w.update("strike", 1)
	w.update("strike", 0)
}
