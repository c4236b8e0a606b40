package layout

import "bale/transport"

const (
	// maxIndex is the greatest size of index.json in bytes.
	maxIndex = transport.MaxManifest
	// maxMarker is the greatest size of the file oci-layout in bytes.
	maxMarker = 64 << 10
	// maxLocalName is the greatest length in bytes of a repository made from
	// a folder's name.
	maxLocalName = 128
	// writeBuffer is how many bytes of an archive are written at a time.
	writeBuffer = 1 << 20
	// maxHintNames is how many of a layout's names a hint lists.
	maxHintNames = 10
)
