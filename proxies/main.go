// Command proxies is a Toxiproxy server that also knows the toxics of brokenpipe.
//
// It is Shopify's server, used as a library, with toxics of ours registered beside its own. The HTTP API is unchanged. It
// listens on the loopback interface unless told otherwise, and logs JSON lines to stderr.
package main

import (
	"flag"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
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

	// A toxic has no logger of its own and writes to the global one; both must go to the same place.
	zerolog.TimeFieldFormat = time.RFC3339Nano
	zerolog.TimestampFunc = func() time.Time { return time.Now().UTC() }
	log.Logger = zerolog.New(os.Stderr).Level(zerolog.InfoLevel).With().Timestamp().Logger()
	if *linksPath != "" {
		var err error
		if links, err = newLinkLog(*linksPath, zerolog.MultiLevelWriter(os.Stderr)); err != nil {
			log.Fatal().Err(err).Msg("The link log cannot be opened")
		}
		log.Logger = zerolog.New(links).Level(zerolog.InfoLevel).With().Timestamp().Logger()
	}

	toxiproxy.Version = libraryVersion()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), log.Logger)
	if links != nil {
		links.disabled = func(arm string) bool {
			proxy, err := server.Collection.Get(arm)
			return err != nil || !proxy.Enabled
		}
	}
	if err := server.Listen(net.JoinHostPort(*host, strconv.Itoa(*port))); err != nil {
		log.Fatal().Err(err).Msg("The HTTP API cannot listen")
	}
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
