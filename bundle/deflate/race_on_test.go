//go:build race

package deflate

// raced says that the race detector is on, with which all takes many times as
// long.
const raced = true
