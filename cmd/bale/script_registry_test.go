package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/rogpeppe/go-internal/testscript"

	"bale/transport/parts"
)

// cmdRegistry starts a registry and puts its address into a variable. It is
// one in memory; with "real" or any other option it is distribution's:
// auth=USER:PASSWORD, tls (the CA's file goes into VAR_CA), readonly,
// from=VAR (what the registry of that variable has stored).
func cmdRegistry(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: registry VAR [OPTION...]")
	}
	t := testOf(ts)
	if len(args) == 1 {
		ts.Setenv(args[0], parts.MemoryRegistry(t).Addr)
		return
	}
	var opts []parts.RegistryOption
	for _, a := range args[1:] {
		key, value, _ := strings.Cut(a, "=")
		switch key {
		case "real":
		case "auth":
			user, password, _ := strings.Cut(value, ":")
			opts = append(opts, parts.WithBasicAuth(user, password))
		case "tls":
			opts = append(opts, parts.WithTLS())
		case "readonly":
			opts = append(opts, parts.WithReadOnly())
		case "from":
			opts = append(opts, parts.WithStorage(ts.Getenv(value+"_DIR")))
		default:
			ts.Fatalf("registry: unknown option %s", a)
		}
	}
	r := parts.Registry(t, opts...)
	ts.Setenv(args[0], r.Addr)
	ts.Setenv(args[0]+"_DIR", r.Dir)
	ts.Setenv(args[0]+"_CA", r.CAFile)
}

// cmdLogin writes what docker login would write.
func cmdLogin(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: login ADDR USER:PASSWORD")
	}
	dir := ts.Getenv("DOCKER_CONFIG")
	ts.Check(os.MkdirAll(dir, 0o700))
	type entry struct {
		Auth string `json:"auth"`
	}
	b, err := json.Marshal(map[string]map[string]entry{
		"auths": {args[0]: {base64.StdEncoding.EncodeToString([]byte(args[1]))}},
	})
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(dir, "config.json"), b, 0o600))
}

func cmdPush(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 || len(args) > 2 {
		ts.Fatalf("usage: push ADDR [USER:PASSWORD]")
	}
	auth := authn.Anonymous
	if len(args) == 2 {
		user, password, _ := strings.Cut(args[1], ":")
		auth = &authn.Basic{Username: user, Password: password}
	}
	pushImages(testOf(ts), args[0], remote.WithAuth(auth))
}

// pushImages puts testdata's images into a registry, as a client other than
// bale does: library/busybox:1.35, library/tools:1.0 and library/tools:raw.
func pushImages(t testing.TB, addr string, opts ...remote.Option) {
	t.Helper()
	for _, dir := range []string{"busybox", "tools"} {
		idx, err := layout.ImageIndexFromPath(testdata(t, "images", dir))
		if err != nil {
			t.Fatal(err)
		}
		m, err := idx.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range m.Manifests {
			if err := pushImage(idx, d, addr, opts); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func pushImage(idx v1.ImageIndex, d v1.Descriptor, addr string, opts []remote.Option) error {
	full := d.Annotations["io.containerd.image.name"]
	ref, err := name.ParseReference(addr+"/"+strings.TrimPrefix(full, "docker.io/"), name.Insecure, name.StrictValidation)
	if err != nil {
		return err
	}
	if d.MediaType.IsIndex() {
		child, err := idx.ImageIndex(d.Digest)
		if err != nil {
			return err
		}
		return remote.WriteIndex(ref, child, opts...)
	}
	img, err := idx.Image(d.Digest)
	if err != nil {
		return err
	}
	return remote.Write(ref, img, opts...)
}

func cmdTags(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: tags ADDR [NAME:TAG...]")
	}
	have, err := registryTags(args[0])
	ts.Check(err)
	if want := slices.Sorted(slices.Values(args[1:])); !slices.Equal(have, want) {
		ts.Fatalf("%s has %q, want %q", args[0], have, want)
	}
}

// registryTags lists all that a registry has under a tag, in order.
func registryTags(addr string) ([]string, error) {
	reg, err := name.NewRegistry(addr, name.Insecure)
	if err != nil {
		return nil, err
	}
	repos, err := remote.Catalog(testContext, reg)
	if err != nil {
		return nil, err
	}
	out := []string{}
	for _, r := range repos {
		tags, err := remote.List(reg.Repo(r))
		var answer *transport.Error
		if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
			continue // a repository with blobs only
		}
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", r, err)
		}
		for _, t := range tags {
			out = append(out, r+":"+t)
		}
	}
	slices.Sort(out)
	return out, nil
}
