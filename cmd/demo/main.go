// Command demo shows bale's main job end to end, on embedded parts: two
// registries on loopback, real images, one signed bundle between them. It runs
// the bale binary as a user would, prints what the user would see, and fails
// if anything is not as it should be. It needs no network, engine or registry.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func main() {
	bin := flag.String("bale", "bin/bale", "the bale binary to run")
	images := flag.String("images", "testdata/images", "folder of OCI layouts to start from")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := demo(ctx, *bin, *images, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		stop()
		os.Exit(1)
	}
}

// show is one run of the demo.
type show struct {
	ctx context.Context
	out io.Writer
	bin string
	dir string
}

func demo(ctx context.Context, bin, images string, out io.Writer) (err error) {
	if bin, err = filepath.Abs(bin); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bale-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s := &show{ctx: ctx, out: out, bin: bin, dir: dir}

	here, closeHere, err := startRegistry()
	if err != nil {
		return err
	}
	defer closeHere()
	far, closeFar, err := startRegistry()
	if err != nil {
		return err
	}
	defer closeFar()

	s.say("Two registries run on this machine: %s on this side, %s on the far side.", here, far)
	refs, err := fill(here, images)
	if err != nil {
		return err
	}
	s.say("This side's holds real images: %s.", strings.Join(refs, ", "))

	s.say("\n1. Make a key pair, and save the images into one signed bundle.")
	if err := s.bale(0, "keygen"); err != nil {
		return err
	}
	if err := s.bale(0, append([]string{"save", "-o", "images.bale", "--key", "bale.key"}, refs...)...); err != nil {
		return err
	}

	s.say("\n2. What is in it, and what that saved. Gzip layers are taken apart, each as far as that is worth it:")
	if err := s.bale(0, "inspect", "--key", "bale.pub", "--blobs", "images.bale"); err != nil {
		return err
	}
	s.say("\n   With --layers they stay as they came, which is faster, and larger:")
	if err := s.bale(0, append([]string{"save", "--quiet", "-o", "layers.bale", "--layers", "--key", "bale.key"}, refs...)...); err != nil {
		return err
	}

	s.say("\n3. A bundle is a plain tar. What is signed is SHA256SUMS, so it can be checked without bale.")
	if err := s.run(0, "tar", "tvf", "images.bale"); err != nil {
		return err
	}
	if err := s.run(0, "sh", "-c", "mkdir unpacked && tar xf images.bale -C unpacked && cd unpacked && sha256sum -c SHA256SUMS"); err != nil {
		return err
	}

	s.say("\n4. Carry images.bale and bale.pub to the far side, and verify.")
	if err := s.bale(0, "verify", "--key", "bale.pub", "images.bale"); err != nil {
		return err
	}

	s.say("\n5. One bit changed on the way, or signed by somebody else: refused, and nothing is written.")
	if err := s.tamper("images.bale", "tampered.bale"); err != nil {
		return err
	}
	if err := s.bale(3, "load", "-i", "tampered.bale", "--key", "bale.pub", "--to", "docker://"+far); err != nil {
		return err
	}
	if err := s.bale(0, "keygen", "--output-key-prefix", "stranger"); err != nil {
		return err
	}
	if err := s.bale(4, "load", "-i", "images.bale", "--key", "stranger.pub", "--to", "docker://"+far); err != nil {
		return err
	}
	if err := nothingAt(far); err != nil {
		return err
	}

	s.say("\n6. The far side can write down who must have signed. Here it is the build and Alice, and she has not yet.")
	if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(policy), 0o600); err != nil {
		return err
	}
	if err := s.bale(0, "keygen", "--output-key-prefix", "alice"); err != nil {
		return err
	}
	if err := s.run(0, "cat", "policy.yaml"); err != nil {
		return err
	}
	if err := s.bale(4, "load", "-i", "images.bale", "--policy", "policy.yaml", "--to", "docker://"+far); err != nil {
		return err
	}
	if err := nothingAt(far); err != nil {
		return err
	}
	s.say("\n   She signs the finished bundle; nothing else of it changes.")
	if err := s.bale(0, "sign", "--key", "alice.key", "images.bale"); err != nil {
		return err
	}

	s.say("\n7. Load the good bundle.")
	if err := s.bale(0, "load", "-i", "images.bale", "--policy", "policy.yaml", "--to", "docker://"+far); err != nil {
		return err
	}
	s.say("\n8. Ask both registries, not bale:")
	return s.compare(here, far, refs)
}

// policy is whose signatures the far side asks for.
const policy = `version: 1
signers:
  build: {key: bale.pub}
  alice: {key: alice.pub}
bundles:
  - {unnamed: true, signedBy: [build, alice]}
`

func (s *show) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// bale runs bale and checks its exit code.
func (s *show) bale(code int, args ...string) error { return s.run(code, "bale", args...) }

func (s *show) run(code int, name string, args ...string) error {
	s.say("\n$ %s %s", name, strings.Join(quote(args), " "))
	path := name
	if name == "bale" {
		path = s.bin
	}
	ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, path, args...)
	c.Dir = s.dir
	c.Env = append(os.Environ(), "COSIGN_PASSWORD=demo", "BALE_CACHE=off", "XDG_CONFIG_HOME="+s.dir) // leaves no trace
	c.Stdout, c.Stderr = s.out, s.out
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	if got := c.ProcessState.ExitCode(); got != code {
		return fmt.Errorf("%s %s: exit code %d, not %d", name, args[0], got, code)
	}
	if code != 0 {
		s.say("(exit code %d)", code)
	}
	return nil
}

func quote(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		if out[i] = a; strings.ContainsAny(a, " &") {
			out[i] = "'" + a + "'"
		}
	}
	return out
}

// tamper copies a file with one bit in its middle changed.
func (s *show) tamper(from, to string) error {
	b, err := os.ReadFile(filepath.Join(s.dir, from))
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 1
	return os.WriteFile(filepath.Join(s.dir, to), b, 0o644)
}

// compare checks that the far registry has the same digests.
func (s *show) compare(here, far string, refs []string) error {
	for _, r := range refs {
		a, err := digest(r)
		if err != nil {
			return err
		}
		b, err := digest(strings.Replace(r, here, far, 1))
		if err != nil {
			return err
		}
		s.say("%s\n  here %s\n  far  %s", strings.TrimPrefix(r, here+"/"), a, b)
		if a != b {
			return fmt.Errorf("%s: digests differ", r)
		}
	}
	s.say("\nEvery digest is the same.")
	return nil
}

func digest(ref string) (v1.Hash, error) {
	n, err := name.ParseReference(ref)
	if err != nil {
		return v1.Hash{}, err
	}
	d, err := remote.Head(n)
	if err != nil {
		return v1.Hash{}, err
	}
	return d.Digest, nil
}

func nothingAt(host string) error {
	reg, err := name.NewRegistry(host)
	if err != nil {
		return err
	}
	repos, err := remote.Catalog(context.Background(), reg)
	if err != nil {
		return err
	}
	for _, r := range repos {
		tags, err := remote.List(reg.Repo(r))
		if err == nil && len(tags) > 0 {
			return fmt.Errorf("the far registry has %s:%s after a refused load", r, tags[0])
		}
	}
	return nil
}

// startRegistry serves an empty registry on a free loopback port.
func startRegistry() (addr string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	srv := &http.Server{
		Handler:           registry.New(registry.Logger(log.New(io.Discard, "", 0))),
		ReadHeaderTimeout: time.Minute,
	}
	go func() { _ = srv.Serve(l) }() // ends with Close
	return l.Addr().String(), func() { _ = srv.Close() }, nil
}

// fill pushes the images of all layouts below a folder, and returns their names.
func fill(host, dir string) ([]string, error) {
	layouts, err := filepath.Glob(filepath.Join(dir, "*", "index.json"))
	if err != nil || len(layouts) == 0 {
		return nil, fmt.Errorf("no layouts below %s", dir)
	}
	var refs []string
	for _, l := range layouts {
		index, err := layout.ImageIndexFromPath(filepath.Dir(l))
		if err != nil {
			return nil, err
		}
		m, err := index.IndexManifest()
		if err != nil {
			return nil, err
		}
		for _, d := range m.Manifests {
			full := d.Annotations["org.opencontainers.image.ref.name"]
			ref := host + "/" + strings.TrimPrefix(full, "docker.io/library/")
			if err := push(index, d, ref); err != nil {
				return nil, fmt.Errorf("push %s: %w", ref, err)
			}
			refs = append(refs, ref)
		}
	}
	return refs, nil
}

func push(index v1.ImageIndex, d v1.Descriptor, ref string) error {
	n, err := name.ParseReference(ref)
	if err != nil {
		return err
	}
	if d.MediaType.IsIndex() {
		sub, err := index.ImageIndex(d.Digest)
		if err != nil {
			return err
		}
		return remote.WriteIndex(n, sub)
	}
	img, err := index.Image(d.Digest)
	if err != nil {
		return err
	}
	return remote.Write(n, img)
}
