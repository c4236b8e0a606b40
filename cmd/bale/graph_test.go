package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/rogpeppe/go-internal/testscript"
)

var testContext = context.Background()

func cmdSame(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: same PLACE PLACE")
	}
	ts.Check(sameImage(ts.MkAbs("."), args[0], args[1]))
}

// sameImage compares two images down to the last byte of the last layer. It
// reads them without bale's help and without a client library's, and believes
// no digest. A place is HOST/NAME[:TAG|@DIGEST], or oci:DIR:NAME below dir.
func sameImage(dir, a, b string) error {
	one, err := readGraph(dir, a)
	if err != nil {
		return err
	}
	two, err := readGraph(dir, b)
	if err != nil {
		return err
	}
	if x, y := slices.Sorted(maps.Keys(one)), slices.Sorted(maps.Keys(two)); !slices.Equal(x, y) {
		return fmt.Errorf("%s is made of %v, %s of %v", a, x, b, y)
	}
	for d := range one {
		if !bytes.Equal(one[d], two[d]) {
			return fmt.Errorf("%s differs in %s and %s", d, a, b)
		}
	}
	return nil
}

// readGraph returns everything an image is made of, by digest; its root is
// there under the name "root" too.
func readGraph(dir, place string) (map[string][]byte, error) {
	get, root, err := opener(dir, place)
	if err != nil {
		return nil, err
	}
	out := make(map[string][]byte)
	var walk func(kind, ref string) error
	walk = func(kind, ref string) error {
		if out[ref] != nil {
			return nil
		}
		b, err := get(kind, ref)
		if err != nil {
			return err
		}
		if d, err := digest.Parse(ref); err == nil && d.Algorithm().FromBytes(b) != d {
			return fmt.Errorf("%s: %s has other content", place, ref)
		}
		out[digest.FromBytes(b).String()] = b
		if kind == "blobs" {
			return nil
		}
		var m struct {
			Manifests, Layers []ocispec.Descriptor
			Config            *ocispec.Descriptor
		}
		if err := json.Unmarshal(b, &m); err != nil {
			return err
		}
		if m.Config != nil {
			m.Layers = append(m.Layers, *m.Config)
		}
		for _, c := range m.Manifests {
			if err := walk("manifests", c.Digest.String()); err != nil {
				return err
			}
		}
		for _, c := range m.Layers {
			if err := walk("blobs", c.Digest.String()); err != nil {
				return err
			}
		}
		return nil
	}
	if err := walk("manifests", root); err != nil {
		return nil, err
	}
	b, err := get("manifests", root)
	out["root"] = b
	return out, err
}

// opener returns what gets content of a place, and how its root is called.
func opener(dir, place string) (get func(kind, ref string) ([]byte, error), root string, err error) {
	if rest, ok := strings.CutPrefix(place, "oci:"); ok {
		sub, want, _ := strings.Cut(rest, ":")
		if !filepath.IsAbs(sub) {
			sub = filepath.Join(dir, sub)
		}
		root, err = layoutRoot(sub, want)
		return func(_, ref string) ([]byte, error) {
			return os.ReadFile(filepath.Join(sub, "blobs", strings.ReplaceAll(ref, ":", "/")))
		}, root, err
	}
	host, rest, _ := strings.Cut(place, "/")
	repo, root, ok := strings.Cut(rest, "@")
	if !ok {
		repo, root, _ = strings.Cut(rest, ":")
	}
	return func(kind, ref string) ([]byte, error) {
		return httpGet("http://" + host + "/v2/" + repo + "/" + kind + "/" + ref)
	}, root, nil
}

// layoutRoot finds an image in a layout by the name that containerd gives it.
func layoutRoot(dir, want string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, ocispec.ImageIndexFile))
	if err != nil {
		return "", err
	}
	var idx ocispec.Index
	if err := json.Unmarshal(b, &idx); err != nil {
		return "", err
	}
	for _, d := range idx.Manifests {
		if d.Annotations["io.containerd.image.name"] == want || d.Annotations[ocispec.AnnotationRefName] == want {
			return d.Digest.String(), nil
		}
	}
	return "", fmt.Errorf("%s has no image %s: %s", dir, want, b)
}

func httpGet(url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(testContext, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", strings.Join([]string{
		ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageManifest,
		"application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.docker.distribution.manifest.v2+json",
	}, ","))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }() // only read from
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %s", url, res.Status, b)
	}
	return b, err
}
