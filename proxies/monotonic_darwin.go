package main

import "golang.org/x/sys/unix"

const clock = unix.CLOCK_UPTIME_RAW // what Python's time.monotonic_ns reads on a Mac
