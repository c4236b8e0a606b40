package conformance_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
	"bale/transport/conformance"
)

func TestFaults(t *testing.T) {
	set := conformance.New(t, team)
	img := set.Image(t, "plain")
	content := set.Content[img.Root.Digest]
	d := img.Root
	flipped := bytes.Clone(content)
	flipped[3] ^= 1 << 5
	for _, c := range []struct {
		fault *conformance.Fault
		want  []byte
		err   error
	}{
		{conformance.FailOpen(d.Digest), nil, conformance.ErrInjected},
		{conformance.FailRead(d.Digest, 0), nil, conformance.ErrInjected},
		{conformance.FailRead(d.Digest, 17), content[:17], conformance.ErrInjected},
		{conformance.CutShort(d.Digest, 17), content[:17], nil},
		{conformance.Lengthen(d.Digest, []byte("more")), slices.Concat(content, []byte("more")), nil},
		{conformance.FlipBit(d.Digest, 29), flipped, nil},
		{conformance.Hook(d.Digest, 17, func() {}), content, nil},
	} {
		t.Run(c.fault.String(), func(t *testing.T) {
			src := conformance.Inject(t, set.Source(), c.fault)
			for n, read := range map[string]func(transport.Source, transport.Image, v1.Descriptor) ([]byte, error){
				"blob": func(src transport.Source, img transport.Image, d v1.Descriptor) ([]byte, error) {
					rc, err := src.Blob(t.Context(), img, d)
					if err != nil {
						return nil, err
					}
					return io.ReadAll(rc)
				},
				"manifest": func(src transport.Source, img transport.Image, d v1.Descriptor) ([]byte, error) {
					return src.Manifest(t.Context(), img, d)
				},
			} {
				got, err := read(src, img, d)
				if !bytes.Equal(got, c.want) || !errors.Is(err, c.err) {
					t.Errorf("%s: %d bytes, %v; want %d, %v", n, len(got), err, len(c.want), c.err)
				}
			}
			if c.fault.Hits() != 2 {
				t.Errorf("%d hits, want 2", c.fault.Hits())
			}
		})
	}
}

func TestNthFault(t *testing.T) {
	set := conformance.New(t, team)
	img := set.Image(t, "plain")
	src := conformance.Inject(t, set.Source(), conformance.FailOpen(img.Root.Digest).Nth(2))
	for i, want := range []error{nil, conformance.ErrInjected, nil} {
		if _, err := src.Manifest(t.Context(), img, img.Root); !errors.Is(err, want) {
			t.Errorf("opening %d: %v, want %v", i+1, err, want)
		}
	}
}

// recorder notes what a test would report.
type recorder struct {
	testing.TB
	errors   []string
	cleanups []func()
}

func (r *recorder) Helper()           {}
func (r *recorder) Cleanup(do func()) { r.cleanups = append(r.cleanups, do) }
func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func TestFaultThatIsNeverHitFails(t *testing.T) {
	set := conformance.New(t, team)
	img := set.Image(t, "plain")
	r := &recorder{TB: t}
	src := conformance.Inject(r, set.Source(),
		conformance.FlipBit(img.Root.Digest, 1), conformance.FlipBit(img.Root.Digest, img.Root.Size*8))
	if _, err := src.Manifest(t.Context(), img, img.Root); err != nil {
		t.Fatal(err)
	}
	for _, do := range r.cleanups {
		do()
	}
	want := fmt.Sprintf("never hit: flip of bit %d of %s", img.Root.Size*8, img.Root.Digest)
	if !slices.Equal(r.errors, []string{want}) {
		t.Errorf("reported %q, want %q", r.errors, want)
	}
}
