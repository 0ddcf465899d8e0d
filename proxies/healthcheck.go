package main

import (
	"fmt"
	"net/http"
	"os"
	"time"
)

// healthcheckTimeout is how long a server may take to return its version. It takes a millisecond.
const healthcheckTimeout = time.Second

// healthcheck asks the HTTP API at address for its version and returns the exit code: 0 if it answers, else 1.
func healthcheck(address string) int {
	client := http.Client{Timeout: healthcheckTimeout}
	answer, err := client.Get("http://" + address + "/version")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		fmt.Fprintln(os.Stderr, "asked for its version it answered", answer.Status)
		return 1
	}
	return 0
}
