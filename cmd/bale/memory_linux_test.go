package main

import (
	"os"
	"syscall"
)

// peakMemory returns the most memory that a process had, in KiB.
func peakMemory(s *os.ProcessState) int64 { return s.SysUsage().(*syscall.Rusage).Maxrss }
