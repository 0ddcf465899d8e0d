package main

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"time"
)

const (
	bufferSize = 32 << 10
	firstRead  = 512 // bytes that are read at once as long as nothing has come out of the toxics
)

// route is one direction of a link.
//
//	source ─────────────────────────────▶ destination    as long as no toxic has an effect
//	source ──▶ noop ──▶ toxics ──▶ … ──▶ destination     otherwise
//
// Toxiproxy gives each toxic a goroutine and a channel, so that bytes wake one after the other although nothing happens to
// them. The first way is one goroutine's. Toxiproxy starts a goroutine that reads the source and one that writes to the
// destination; they are WriteTo and ReadFrom here. The second one rests as long as bytes go straight.
type route struct {
	link *link
	side side // of its source
	from *net.TCPConn
	to   *net.TCPConn

	watch    func([]byte) bool // told of what goes straight; nil if no toxic wants to be
	inside   atomic.Int64      // bytes that the toxics were given and that have not arrived
	writing  atomic.Bool       // bytes are on their straight way
	lastByte atomic.Int64      // when bytes last went straight, in nanoseconds of clockNS
	closed   atomic.Bool       // Toxiproxy is done with the destination
}

var began = time.Now()

// clockNS is a monotonic clock of this process.
func clockNS() int64 { return int64(time.Since(began)) }

// source is a route's beginning, as Toxiproxy sees it.
type source struct{ *route }

// Read implements io.Reader.
func (s source) Read(buffer []byte) (int, error) { return s.from.Read(buffer) }

// WriteTo implements io.WriterTo: io.Copy calls it and nothing else. It returns when the source has closed.
func (s source) WriteTo(toxics io.Writer) (int64, error) {
	<-s.link.started // or a toxic would miss the first bytes
	buffer := make([]byte, bufferSize)
	for total := int64(0); ; {
		n, err := s.from.Read(buffer)
		total += int64(n)
		if n > 0 {
			s.pass(buffer[:n], toxics)
		}
		if err != nil {
			s.link.leave()
			links.recordEnd(s.link, s.side)
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return total, err
		}
	}
}

// pass sends bytes straight, or what of them is left to the toxics.
func (r *route) pass(data []byte, toxics io.Writer) {
	r.writing.Store(true)
	if r.straight() {
		data = data[r.send(data):]
	}
	r.writing.Store(false)
	if len(data) > 0 {
		r.inside.Add(int64(len(data)))
		_, _ = toxics.Write(data) // which copies them
	}
}

// straight reports whether bytes need not go through the toxics. Those that did must have arrived, or they were overtaken.
func (r *route) straight() bool {
	return r.link.proxy.neutral.Load() && !r.link.detoured.Load() && r.inside.Load() == 0
}

// send writes to the destination and returns how much is done with: all, unless it was interrupted.
func (r *route) send(data []byte) int {
	n, err := r.to.Write(data)
	switch {
	case err == nil:
	case errors.Is(err, os.ErrDeadlineExceeded):
		_ = r.to.SetWriteDeadline(time.Time{})
	default: // nobody takes it any more. The source is read on, until closing its other end has ended it, too
		r.to.Close()
		n = len(data)
	}
	if r.watch != nil {
		r.watch(data[:n])
	}
	r.lastByte.Store(clockNS())
	return n
}

// interrupt returns when no bytes are on their straight way. A destination that does not read would hold them for ever.
func (r *route) interrupt() {
	for r.writing.Load() {
		_ = r.to.SetWriteDeadline(began) // long ago
		runtime.Gosched()
	}
}

// sink is a route's end, as Toxiproxy sees it.
type sink struct{ *route }

// ReadFrom implements io.ReaderFrom: io.Copy calls it and nothing else. It returns when the toxics have closed.
func (s sink) ReadFrom(toxics io.Reader) (int64, error) {
	buffer := make([]byte, firstRead)
	for total := int64(0); ; {
		n, err := toxics.Read(buffer)
		if n > 0 {
			written, failed := s.Write(buffer[:n])
			total += int64(written)
			if failed != nil {
				return total, failed
			}
			s.inside.Add(int64(-n))
		}
		if err != nil {
			return total, nil //nolint:nilerr // the end of what came from the toxics
		}
		if n == firstRead {
			buffer = make([]byte, bufferSize)
		}
	}
}

// Write implements io.Writer. An interrupt that came too late for what went straight is none for this.
func (s sink) Write(data []byte) (int, error) {
	for done := 0; ; {
		n, err := s.to.Write(data[done:])
		if done += n; !errors.Is(err, os.ErrDeadlineExceeded) {
			return done, err
		}
		_ = s.to.SetWriteDeadline(time.Time{})
	}
}

// Close implements io.Closer. Toxiproxy calls it when nothing more can arrive.
func (s sink) Close() error {
	err := s.to.Close()
	if s.closed.Store(true); s.link.over() {
		s.link.proxy.forget(s.link)
	}
	return err
}
