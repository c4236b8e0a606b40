// Package layout is the places oci: and oci-archive:, an OCI image layout
// (image-spec, image-layout.md) in a folder or in a tar, as skopeo, crane,
// podman, containerd and others write it.
//
// The places are written "oci:DIR", "oci:DIR:REF", "oci-archive:FILE" and
// "oci-archive:FILE:REF"; [Split] and [SplitArchive] take the part after the
// first colon to pieces. [Open] and [OpenArchive] read a layout, [NewSink] and
// [NewArchiveSink] write one. [OpenTar] and [NewTarSink] are for who has a tar
// that is no file, as an engine's client does.
//
// What a layout says is not believed: index.json is bounded, a name that leads
// out of the folder or tar is refused, and a blob that is already in a folder
// counts only after its content was hashed.
//
// A layout may be without blobs that its indexes lead to. What is attached to
// an image is found by index.json: manifests that name it as their subject, a
// list of referrers, and cosign's tags.
package layout
