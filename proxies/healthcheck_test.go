package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A server that returns its version is healthy; one that answers otherwise is not, nor is one that is gone.
func TestHealthcheck(t *testing.T) {
	for status, want := range map[int]int{http.StatusOK: 0, http.StatusInternalServerError: 1} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/version" {
				status = http.StatusNotFound
			}
			w.WriteHeader(status)
		}))
		address := strings.TrimPrefix(server.URL, "http://")
		if got := healthcheck(address); got != want {
			t.Errorf("status %d: exit code %d, want %d", status, got, want)
		}
		server.Close()
		if got := healthcheck(address); got != 1 {
			t.Errorf("nobody listens: exit code %d, want 1", got)
		}
	}
}
