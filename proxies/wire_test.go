package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/rs/zerolog/log"
)

const (
	// How late a busy machine may be when it wakes a goroutine and delivers a packet over loopback. A kill takes two
	// wake-ups for each side; 20 ms is what the harness promises.
	slack = 20 * time.Millisecond
	// Timers never fire early; a millisecond covers the rounding of time stamps taken on two sides.
	early = time.Millisecond
	// What an API call may take. It takes well under a millisecond; a call that hangs does so for good.
	promptly = 200 * time.Millisecond
)

// Every test runs with a link log, as the harness does.
func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "links")
	if err != nil {
		panic(err)
	}
	log.Logger = zerolog.Nop()
	if links, err = newLinkLog(filepath.Join(folder, "links.ndjson")); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(folder)
	os.Exit(code)
}

// The three kinds of end that a client's socket can see.
const (
	reset   = "reset"
	eof     = "eof"
	silence = "silence"
)

// wire is a proxy in front of a server, with one toxic on its upstream stream.
type wire struct {
	t     *testing.T
	proxy *proxy
}

func newWire(t *testing.T, serve func(net.Conn), toxic string, armed bool) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()

	w := &wire{t: t, proxy: proxyTo(t.Name(), listener.Addr().String())}
	w.add(`{"name": "commit_lost", "type": "commit_lost", "stream": "upstream"}`) // these two see a link's end
	w.add(`{"name": "reply_lost", "type": "reply_lost", "stream": "downstream"}`)
	w.add(fmt.Sprintf(`{"name": "it", "type": %q, "stream": "upstream"}`, toxic))
	if armed {
		w.add(`{"name": "armed", "type": "reset_peer", "stream": "upstream", "toxicity": 0}`)
	}
	if err := w.proxy.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.proxy.stop)
	return w
}

func proxyTo(name, upstream string) *proxy { return proxyWith(zerolog.Nop(), name, upstream) }

func proxyWith(logger zerolog.Logger, name, upstream string) *proxy {
	return newProxy(newServer(logger).ApiServer, name, "127.0.0.1:0", upstream)
}

// changed runs a change of the toxics as the API does.
func (p *proxy) changed(anew bool, act func() error) error {
	var err error
	p.change(anew, func() { err = act() })
	return err
}

func (p *proxy) add(toxic string) error {
	return p.changed(true, func() error {
		_, err := p.Toxics.AddToxicJson(strings.NewReader(toxic))
		return err
	})
}

func (w *wire) add(toxic string) {
	w.t.Helper()
	if err := w.proxy.add(toxic); err != nil {
		w.t.Fatal(err)
	}
}

// update sets an attribute of the toxic under test and fails the test if that takes long.
func (w *wire) update(attribute string, value int) {
	w.t.Helper()
	done := make(chan error, 1)
	go func() {
		body := fmt.Sprintf(`{"attributes": {%q: %d}}`, attribute, value)
		done <- w.proxy.changed(false, func() error {
			_, err := w.proxy.Toxics.UpdateToxicJson("it", strings.NewReader(body))
			return err
		})
	}()
	select {
	case err := <-done:
		if err != nil {
			w.t.Fatal(err)
		}
	case <-time.After(promptly):
		w.t.Fatalf("setting %s to %d has not returned after %s: a toxic blocks", attribute, value, promptly)
	}
}

// dial opens a connection; to the client it is open before the proxy has reached the server.
func (w *wire) dial() net.Conn {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.proxy.Listen)
	if err != nil {
		w.t.Fatalf("a client was refused: %v", err)
	}
	w.t.Cleanup(func() { conn.Close() })
	return conn
}

// dialled is dial, plus an echo that proves the connection up from end to end.
func (w *wire) dialled() net.Conn {
	w.t.Helper()
	conn := w.dial()
	w.ping(conn)
	return conn
}

func (w *wire) ping(conn net.Conn) {
	w.t.Helper()
	if seen, _ := exchange(conn, time.Second); seen != "" {
		w.t.Fatalf("the connection should carry an echo, but the client saw %s", seen)
	}
}

// exchange sends a byte and waits for its echo; "" means that it came.
func exchange(conn net.Conn, patience time.Duration) (string, error) {
	if _, err := conn.Write([]byte("x")); err != nil {
		return sight(err), err
	}
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	_, err := conn.Read(make([]byte, 1))
	return sight(err), err
}

// watch reads until the connection ends or patience runs out, and says what the client saw and when.
func watch(conn net.Conn, patience time.Duration) (string, time.Time) {
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, err := io.Copy(io.Discard, conn)
	if err == nil {
		err = io.EOF // io.Copy's way to say so
	}
	return sight(err), time.Now()
}

func sight(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, io.EOF):
		return eof
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return reset
	case errors.Is(err, os.ErrDeadlineExceeded):
		return silence
	default:
		return err.Error()
	}
}

func (w *wire) expect(conn net.Conn, want string, since time.Time, least, most time.Duration) {
	w.t.Helper()
	seen, at := watch(conn, most+time.Second)
	if took := at.Sub(since); seen != want || took < least || took > most {
		w.t.Errorf("the client saw %s after %s, expected %s after %s to %s", seen, took, want, least, most)
	}
}

func echo(conn net.Conn) {
	defer conn.Close()
	_, _ = io.Copy(conn, conn)
}

// deaf never reads, so that whatever is sent to it piles up in the proxy.
func deaf(conn net.Conn) { time.Sleep(time.Minute); conn.Close() }

// stuffed fills every buffer on the way to a deaf server: from then on the toxic holds a chunk nobody takes.
func (w *wire) stuffed() net.Conn {
	w.t.Helper()
	conn := w.dial()
	block := make([]byte, 1<<20)
	for range 64 { // no machine buffers as much on loopback
		_ = conn.SetWriteDeadline(time.Now().Add(150 * time.Millisecond))
		if _, err := conn.Write(block); errors.Is(err, os.ErrDeadlineExceeded) {
			return conn
		}
	}
	w.t.Fatal("64 MiB went to a server that does not read: the test cannot block a toxic")
	return nil
}

// howIn runs a test armed and not armed, with what a client must see in each.
func howIn(t *testing.T, test func(t *testing.T, armed bool, end string)) {
	t.Run("armed", func(t *testing.T) { t.Parallel(); test(t, true, reset) })
	t.Run("not armed", func(t *testing.T) { t.Parallel(); test(t, false, eof) })
}
