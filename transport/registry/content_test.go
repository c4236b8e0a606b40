package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/parts"
)

// failing is a stream that ends with an error after some bytes.
type failing struct {
	r      io.Reader
	err    error
	closed *atomic.Int32
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if errors.Is(err, io.EOF) {
		err = f.err
	}
	return n, err
}

func (f *failing) Close() error { f.closed.Add(1); return nil }

// TestWriteBlobContentFails checks that an error of the content comes back as
// it is and is not tried again, that all streams are closed, and that nothing is
// left at the registry.
func TestWriteBlobContentFails(t *testing.T) {
	whole := bytes.Repeat([]byte("0123456789"), 100_000)
	d, _ := bytesOpener(whole)
	broken := errors.New("the disc is broken")
	for _, c := range []struct {
		name  string
		open  error
		read  error
		want  error
		opens int32
	}{
		{"opening fails", broken, nil, broken, 1},
		{"reading fails", nil, broken, broken, 1},
		{"damaged", nil, fault.Damaged("content is not what it should be"), fault.ErrDamaged, 1},
		// The other side of a copy has had its own tries.
		{"connection breaks", nil, fmt.Errorf("far side: %w", io.ErrUnexpectedEOF), io.ErrUnexpectedEOF, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			reg := parts.Registry(t)
			var opened, closed atomic.Int32
			open := func(context.Context) (io.ReadCloser, error) {
				opened.Add(1)
				if c.open != nil {
					closed.Add(1)
					return nil, c.open
				}
				return &failing{bytes.NewReader(whole[:len(whole)/2]), c.read, &closed}, nil
			}
			client := newTestClient(t, Options{})
			images := []transport.Image{at(t, transport.Image{}, reg.Image("app:1"))}
			err := client.Sink().WriteBlob(t.Context(), d, images, open)
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if strings.Contains(err.Error(), reg.Addr) {
				t.Errorf("the registry is blamed: %v", err)
			}
			if opened.Load() != c.opens || closed.Load() != c.opens {
				t.Errorf("%d opened, %d closed, want %d", opened.Load(), closed.Load(), c.opens)
			}
			if ok, err := client.Sink().Has(t.Context(), d, images); ok || err != nil {
				t.Errorf("Has: %t, %v", ok, err)
			}
		})
	}
}

// TestWriteBlobTriesAgain breaks uploads in ways that pass.
func TestWriteBlobTriesAgain(t *testing.T) {
	whole := bytes.Repeat([]byte("0123456789"), 100_000)
	d, open := bytesOpener(whole)
	for _, c := range []struct {
		name string
		fail func(w http.ResponseWriter, r *http.Request)
	}{
		{"503", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusServiceUnavailable)
		}},
		{"connection cut", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.CopyN(io.Discard, r.Body, 1000)
			panic(http.ErrAbortHandler)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var failed, opened atomic.Int32
			reg := parts.MemoryRegistry(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodPatch && failed.Add(1) <= 2 {
						c.fail(w, r)
						return
					}
					next.ServeHTTP(w, r)
				})
			})
			client := newTestClient(t, Options{})
			images := []transport.Image{at(t, transport.Image{}, reg.Image("app:1"))}
			err := client.Sink().WriteBlob(t.Context(), d, images, func(ctx context.Context) (io.ReadCloser, error) {
				opened.Add(1)
				return open(ctx)
			})
			if err != nil {
				t.Fatal(err)
			}
			if failed.Load() != 3 || opened.Load() != 3 {
				t.Errorf("%d uploads, %d openings, want 3", failed.Load(), opened.Load())
			}
			if got, err := readBlob(t, client.Source(), images[0], d); err != nil || !bytes.Equal(got, whole) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

// TestWriteBlobHTTP2 fails content on the other version of the protocol,
// whose errors take another way through net/http.
func TestWriteBlobHTTP2(t *testing.T) {
	reg := parts.Registry(t, parts.WithTLS())
	client := newTestClient(t, Options{CAFile: reg.CAFile})
	images := []transport.Image{at(t, transport.Image{}, reg.Image("app:1"))}
	whole := bytes.Repeat([]byte("0123456789"), 100_000)
	d, open := bytesOpener(whole)
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-1] ^= 1
	err := client.Sink().WriteBlob(t.Context(), d, images, func(context.Context) (io.ReadCloser, error) {
		return blob.NewReader(bytes.NewReader(flipped), d.Digest, d.Size)
	})
	if !errors.Is(err, fault.ErrDamaged) {
		t.Errorf("damaged content: %v", err)
	}
	if err := client.Sink().WriteBlob(t.Context(), d, images, open); err != nil {
		t.Fatal(err)
	}
	if got, err := readBlob(t, client.Source(), images[0], d); err != nil || !bytes.Equal(got, whole) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
