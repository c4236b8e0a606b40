// Package layout is the place oci:, a folder in the OCI image layout
// (image-spec, image-layout.md) as skopeo, crane, buildah and others write it.
//
// The place is written "oci:DIR" or "oci:DIR:REF"; [Split] takes the part
// after "oci:" to pieces. [Open] reads a layout and [NewSink] writes one.
//
// What a layout says is not believed: index.json is bounded, a name that leads
// out of the folder is refused, and a blob that is already there counts only
// after its content was hashed.
package layout
