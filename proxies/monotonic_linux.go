package main

import "golang.org/x/sys/unix"

const clock = unix.CLOCK_MONOTONIC // what Python's time.monotonic_ns reads here
