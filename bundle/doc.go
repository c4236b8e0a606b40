// Package bundle is bale's archive format (FORMAT.md) and nothing else: it
// knows blobs, chunks and packs, but neither registries nor engines nor keys.
//
// A [Writer] makes a bundle front to back. Reading is in two steps that keep
// the order of trust: [Scan] takes in tar headers, SHA256SUMS and signatures
// and gives an [Envelope]; package verify decides about it; and [Open] parses
// the rest only for somebody who vouches for exactly those sums.
//
// A bundle may build on others (its bases): it leaves out what they hold, and
// tells changed files by their predecessors there. What it builds on is given
// to a [Reader] as [Content], chunk by chunk, and checked by hash.
package bundle
