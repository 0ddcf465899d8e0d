// Command proxies is a Toxiproxy server that also knows the toxics of brokenpipe.
//
// It is Shopify's server, used as a library, with toxics of ours registered beside its own. The HTTP API is unchanged. It
// listens on the loopback interface unless told otherwise, and logs JSON lines to stderr.
package main

import (
	"flag"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/rs/zerolog/log"
)

const toxiproxyModule = "github.com/Shopify/toxiproxy/v2"

func main() {
	host := flag.String("host", "127.0.0.1", "address the HTTP API listens on")
	port := flag.Int("port", 8474, "port the HTTP API listens on")
	linksPath := flag.String("links", "", "file to which a line for each link that opens or ends is appended")
	check := flag.Bool("alive", false, "ask the server at -host and -port whether it answers; the exit code is 0 or 1")
	flag.Parse()
	if *check { // a container with nothing but this program has no other that could ask
		os.Exit(healthcheck(net.JoinHostPort(*host, strconv.Itoa(*port))))
	}

	runtime.GOMAXPROCS(threads())

	// A toxic has no logger of its own and writes to the global one; both must go to the same place.
	zerolog.TimeFieldFormat = time.RFC3339Nano
	zerolog.TimestampFunc = func() time.Time { return time.Now().UTC() }
	log.Logger = zerolog.New(os.Stderr).Level(zerolog.InfoLevel).With().Timestamp().Logger()
	if *linksPath != "" {
		var err error
		if links, err = newLinkLog(*linksPath); err != nil {
			log.Fatal().Err(err).Msg("The link log cannot be opened")
		}
	}

	toxiproxy.Version = libraryVersion()
	if err := newServer(log.Logger).listen(net.JoinHostPort(*host, strconv.Itoa(*port))); err != nil {
		log.Fatal().Err(err).Msg("The HTTP API cannot listen")
	}
}

const (
	leastThreads = 2
	perThread    = 4 // processors for each thread beyond the least
)

// threads is how many threads run Go's code at a time: Go's choice is one for each processor, and each byte that arrives
// wakes another to look for work that is not there. With a single one, all links and the API wait when a busy machine takes
// it off its processor, and a kill comes late (docs/decisions/0231-two-threads.md).
func threads() int {
	usual := runtime.GOMAXPROCS(0)
	if os.Getenv("GOMAXPROCS") != "" {
		return usual
	}
	return min(usual, max(leastThreads, usual/perThread))
}

// libraryVersion is the version of the Toxiproxy module linked in. The library calls itself "git" unless its own
// release scripts say otherwise.
func libraryVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, module := range info.Deps {
		if module.Path == toxiproxyModule {
			return strings.TrimPrefix(module.Version, "v")
		}
	}
	return "unknown"
}
