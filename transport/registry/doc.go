// Package registry is the docker:// place: images in a registry that speaks
// the OCI distribution spec.
//
// It stands on go-containerregistry for authentication (Docker's config and
// credential helpers), tokens, retries and uploads. What that library leaves
// open is settled here: plain http is never used towards another machine
// unless it was asked for, everything read is bounded, digests are compared
// wherever the registry names one, and every failure says what to do next.
package registry
