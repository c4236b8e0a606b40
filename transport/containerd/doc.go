// Package containerd is the place containerd: the images of one namespace of a
// containerd, through its socket. That of a Kubernetes node is k8s.io.
//
// The place is written "containerd:NAMESPACE" or "containerd:NAMESPACE/NAME";
// [Split] takes the part after "containerd:" to pieces. [NewSource] reads a
// namespace and [NewSink] writes to one.
//
// containerd keeps manifests and blobs as they came, byte for byte, and knows
// images by full names. It collects what no image refers to at any time, by
// labels on the content; so what is written is held by a lease until it has its
// names, and gets the labels that containerd's own pull sets.
package containerd
