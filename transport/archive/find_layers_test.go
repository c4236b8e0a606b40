package archive_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/transport"
)

// TestFindLayers looks for layers by digest and by diff id, in an archive that is
// an OCI layout too and in one that is not.
func TestFindLayers(t *testing.T) {
	dir := t.TempDir()
	set := loadable(t)
	plain := set.Graph(t, set.Image(t, "plain"))
	var config v1.Image
	must(t, json.Unmarshal(set.Content[plain.Configs[0].Digest], &config))
	want := []transport.Layer{
		{Digest: digest.FromString("no"), Size: 2},
		{Digest: plain.Layers[0].Digest, Size: plain.Layers[0].Size},
		{DiffID: config.RootFS.DiffIDs[1]},
		{Digest: plain.Layers[1].Digest, Size: plain.Layers[1].Size + 1},
	}
	hybrid, list := filepath.Join(dir, "hybrid.tar"), filepath.Join(dir, "list.tar")
	fill(t, hybrid, set)
	listOnly(t, list, nil)
	for _, path := range []string{hybrid, list} {
		src := openFile(t, path)
		found, err := src.(transport.Holding).FindLayers(t.Context(), nil, want)
		must(t, err)
		if len(found) != 2 || found[0].Index != 1 || found[1].Index != 2 {
			t.Fatalf("%s: found %v, want layers 1 and 2", filepath.Base(path), found)
		}
		for i, f := range found {
			if f.Digest != plain.Layers[i].Digest {
				t.Errorf("%s: layer %d is %s, want %s", filepath.Base(path), i, f.Digest, plain.Layers[i].Digest)
			}
			rc, err := f.Open(t.Context())
			must(t, err)
			if _, err := blob.ReadAll(rc, f.Digest, plain.Layers[i].Size, transport.MaxManifest); err != nil {
				t.Error(err)
			}
			must(t, rc.Close())
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := src.(transport.Holding).FindLayers(ended, nil, want); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", filepath.Base(path), err)
		}
		must(t, src.Close())
	}
}
