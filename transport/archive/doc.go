// Package archive is the place docker-archive:, the tar that docker save makes
// and docker load takes.
//
// The place is written "docker-archive:FILE" or "docker-archive:FILE:NAME";
// [Split] takes what follows the first colon to pieces. [OpenFile] reads an
// archive and [NewSink] writes one. [Open] and [Writer] are for who has to do
// with archives in another way, as an engine's client does.
//
// The form is defined by the engine's code only. manifest.json lists the
// images, each with the name of its config entry, its tags and the names of
// its layer entries; the rest of the tar is those entries, in any order.
// Engines before 25.0 name them after the layers' old ids and replace a layer
// that is there already by a link; later ones name them blobs/sha256/…, add an
// OCI index beside manifest.json and, where they keep images in containerd,
// leave the layers compressed. [Open] reads all of these by manifest.json;
// [OpenFile] goes by the OCI index if all that it needs is there.
//
// By manifest.json an archive holds no image manifest, so [Image.Manifest]
// makes one: always the same bytes for the same image.
package archive

import "bale/transport/savelist"

// MaxConfig is the greatest size of an image's config in bytes.
const MaxConfig = 8 << 20

// maxHintNames is how many of an archive's images a hint lists.
const maxHintNames = 10

// Item is one image in manifest.json.
type Item = savelist.Item
