package registry

import (
	"errors"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
)

func FuzzMediaTypeOf(f *testing.F) {
	f.Add(v1.MediaTypeImageIndex+"; charset=utf-8", []byte(`{}`))
	f.Add("application/json", []byte(`{"mediaType":"application/vnd.oci.image.manifest.v1+json"}`))
	f.Add("", []byte(`{"schemaVersion":2,"manifests":[]}`))
	f.Add("text/plain", []byte(`{"schemaVersion":2,"config":{}}`))
	f.Add("text/plain", []byte(`{"config":{},"manifests":[]}`))
	f.Add("text/html", []byte(`<html>`))
	f.Add("", []byte(`{"schemaVersion":1}`))
	f.Fuzz(func(t *testing.T, contentType string, content []byte) {
		got, err := mediaTypeOf(contentType, content)
		switch {
		case err == nil && slices.Contains(known, got):
		case err != nil && got == "" && (errors.Is(err, fault.ErrDamaged) || errors.Is(err, fault.ErrUnsupported)):
		default:
			t.Errorf("%q, %v", got, err)
		}
	})
}

func FuzzSaidDigest(f *testing.F) {
	f.Add("")
	f.Add(digest.FromString("x").String())
	f.Add(digest.SHA512.FromString("x").String())
	f.Add("sha256:ABCD")
	f.Add("blake3:00")
	f.Add(":\n")
	f.Fuzz(func(t *testing.T, header string) {
		d, err := saidDigest(header)
		if err != nil && (d != "" || !errors.Is(err, fault.ErrDamaged)) {
			t.Errorf("%q, %v", d, err)
		}
		if d != "" && (d.String() != header || d.Validate() != nil) {
			t.Errorf("%q became %q", header, d)
		}
	})
}
