package transport

import (
	"bytes"
	"encoding/json"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/bundle/fault"
)

// descriptor is the part of a descriptor (image-spec, descriptor.md) that bale
// takes in. The rest, such as annotations, could cost many times its length.
type descriptor struct {
	MediaType string        `json:"mediaType"`
	Digest    digest.Digest `json:"digest"`
	Size      int64         `json:"size"`
	URLs      urls          `json:"urls"`
	Platform  *struct {
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
		OSVersion    string `json:"os.version"`
		Variant      string `json:"variant"`
	} `json:"platform"`
	Annotations struct {
		AttestsTo string `json:"vnd.docker.reference.digest"`
	} `json:"annotations"`
}

// checked returns the descriptor if it can be believed.
func (d *descriptor) checked() (v1.Descriptor, error) {
	out := v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size, URLs: d.URLs}
	if p := d.Platform; p != nil {
		out.Platform = &v1.Platform{Architecture: p.Architecture, OS: p.OS, OSVersion: p.OSVersion, Variant: p.Variant}
	}
	if to := d.Annotations.AttestsTo; len(to) > 0 && len(to) <= maxDigest {
		out.Annotations = map[string]string{attestsTo: to}
	}
	if err := blob.Check(d.Digest, d.Size); err != nil {
		return out, err
	}
	if d.Size > MaxBlob {
		return out, fault.Damaged("%s: %d bytes is over the limit of %d", d.Digest, d.Size, int64(MaxBlob))
	}
	return out, nil
}

// descriptors reads a list one by one and ends at the first that is bad, since
// one that says nothing is two bytes in JSON and a hundred times that here.
type descriptors []v1.Descriptor

// UnmarshalJSON implements json.Unmarshaler.
func (l *descriptors) UnmarshalJSON(b []byte) error {
	if *l != nil {
		return fault.Damaged("manifest has two lists of one name")
	}
	dec, err := list(b)
	if dec == nil {
		return err
	}
	*l = descriptors{}
	for dec.More() {
		var d descriptor
		if err := dec.Decode(&d); err != nil {
			return err
		}
		c, err := d.checked()
		if err != nil {
			return err
		}
		*l = append(*l, c)
	}
	return nil
}

// urls reads a list of at most maxURLs.
type urls []string

// UnmarshalJSON implements json.Unmarshaler.
func (l *urls) UnmarshalJSON(b []byte) error {
	*l = nil
	dec, err := list(b)
	if dec == nil {
		return err
	}
	for dec.More() {
		var u string
		if err := dec.Decode(&u); err != nil {
			return err
		}
		if len(*l) == maxURLs {
			return fault.Damaged("manifest has a descriptor with more than %d URLs", maxURLs)
		}
		*l = append(*l, u)
	}
	return nil
}

// list returns what reads the items of a list one by one, or nil for null.
func list(b []byte) (*json.Decoder, error) {
	if string(b) == "null" {
		return nil, nil
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	switch t, err := dec.Token(); {
	case err != nil:
		return nil, err
	case t != json.Delim('['):
		return nil, fault.Damaged("manifest has something else in place of a list")
	}
	return dec, nil
}
