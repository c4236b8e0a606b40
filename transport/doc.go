// Package transport holds the places that images live in and the one engine
// that copies between them.
//
// A place is read through [Source] and written through [Sink]; the packages
// below this one implement them: registry (docker://), docker
// (docker-daemon:), layout (oci:) and bale (a bundle). [Copy] plans first
// (every blob once, sizes known) and then moves layers before configs before
// manifests before names, so that whatever breaks off, nothing at the target
// refers to something that is not there.
package transport
