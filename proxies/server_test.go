package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strings"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// calls are made to both servers, one after the other.
var calls = []struct{ method, path, body string }{
	{"POST", "/proxies", `{"upstream": "127.0.0.1:1"}`},
	{"POST", "/proxies", `{"name": "a"}`},
	{"POST", "/proxies", `{"name"`},
	{"POST", "/proxies", `{"name": "a", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1", "enabled": false}`},
	{"POST", "/proxies", `{"name": "a", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1"}`},
	{"POST", "/proxies", `{"name": "b", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1"}`},
	{"GET", "/proxies", ""},
	{"POST", "/proxies/none", `{"enabled": true}`},
	{"POST", "/proxies/a", `{"enabled": tru`},
	{"POST", "/proxies/a", `{"listen": "nonsense"}`},
	{"POST", "/proxies/a", `{"enabled": true}`},
	{"PATCH", "/proxies/a", `{"upstream": "127.0.0.1:2"}`},
	{"GET", "/proxies/a", ""},
	{"POST", "/proxies/a", `{"enabled": false}`},
	{"POST", "/proxies/a/toxics", `{"name": "t", "type": "latency", "attributes": {"latency": 5}}`},
	{"POST", "/proxies/a/toxics", `{"name": "t", "type": "latency"}`},
	{"POST", "/proxies/a/toxics", `{"name": "u", "type": "nonsense"}`},
	{"POST", "/proxies/a/toxics", `{"name": "armed", "type": "reset_peer", "stream": "upstream", "toxicity": 0}`},
	{"POST", "/proxies/none/toxics", `{"name": "t", "type": "latency"}`},
	{"POST", "/proxies/a/toxics/t", `{"attributes": {"jitter": 1}, "toxicity": 0.5}`},
	{"GET", "/proxies/a/toxics", ""},
	{"DELETE", "/proxies/a/toxics/t", ""},
	{"DELETE", "/proxies/a/toxics/t", ""},
	{"GET", "/proxies/a/toxics/armed", ""},
	{"POST", "/populate", `[{"name": "c"}]`},
	{"POST", "/populate", `[{"name": "c", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1"}]`},
	{"POST", "/populate", `[{"name": "c", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:3", "enabled": false}]`},
	{"POST", "/reset", ""},
	{"GET", "/proxies", ""},
	{"DELETE", "/proxies/a", ""},
	{"DELETE", "/proxies/a", ""},
	{"GET", "/proxies", ""},
}

var anyPort = regexp.MustCompile(`127\.0\.0\.1:\d{4,}`)

func ask(t *testing.T, url, method, body string) (string, any) {
	t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	text = anyPort.ReplaceAll(bytes.TrimSpace(text), []byte("127.0.0.1:PORT"))
	var answer any
	if json.Unmarshal(text, &answer) != nil {
		answer = string(text)
	}
	return fmt.Sprint(response.StatusCode, " ", response.Header.Get("Content-Type")), answer
}

// The API answers as Toxiproxy's own does, word for word, whatever it is asked, and in whatever order.
func TestTheAPIIsToxiproxys(t *testing.T) {
	t.Parallel()
	logger := zerolog.Nop()
	theirs := httptest.NewServer(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), logger).Routes())
	ours := httptest.NewServer(newServer(logger).routes())
	defer theirs.Close()
	defer ours.Close()
	for _, call := range calls {
		wantStatus, want := ask(t, theirs.URL+call.path, call.method, call.body)
		status, got := ask(t, ours.URL+call.path, call.method, call.body)
		if status != wantStatus || !reflect.DeepEqual(got, want) {
			t.Errorf("%s %s %s\n   ours: %s %v\n theirs: %s %v", call.method, call.path, call.body, status, got, wantStatus, want)
		}
	}
}
