package registry

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/parts"
)

// A repository's tags come in order, each once, however they are listed.
func TestTags(t *testing.T) {
	failed := errors.New("any error")
	list := func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/tags/list") }
	var endless strings.Builder
	for i := range tagPage {
		fmt.Fprintf(&endless, `"t%d",`, i)
	}
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   []string
		err    error
	}{
		{"as they are", nil, []string{"1", "2"}, nil},
		{"out of order and twice", status(200, `{"tags":["b","a","b"]}`), []string{"a", "b"}, nil},
		{"in pages", func(w http.ResponseWriter, r *http.Request) {
			if !strings.Contains(r.URL.RawQuery, "last=y") {
				w.Header().Set("Link", `</v2/app/tags/list?last=y>; rel="next"`)
				_, _ = io.WriteString(w, `{"tags":["y"]}`)
				return
			}
			_, _ = io.WriteString(w, `{"tags":["x"]}`)
		}, []string{"x", "y"}, nil},
		{"none", status(200, `{"tags":null}`), nil, fault.ErrMissing},
		{"no such repository", status(404, `{"errors":[{"code":"NAME_UNKNOWN","message":"x"}]}`), nil, fault.ErrMissing},
		{"not allowed", status(403, `{"errors":[{"code":"DENIED","message":"x"}]}`), nil, failed},
		{"failing", status(500, ""), nil, failed},
		{"something else", status(200, `<html>`), nil, fault.ErrDamaged},
		{"no tag", status(200, `{"tags":["a","../../v2"]}`), nil, fault.ErrDamaged},
		{"without end", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", `</v2/app/tags/list?n=1>; rel="next"`)
			_, _ = io.WriteString(w, `{"tags":[`+strings.TrimSuffix(endless.String(), ",")+`]}`)
		}, nil, fault.ErrUnsupported},
		{"empty pages without end", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", `</v2/app/tags/list?n=1>; rel="next"`)
			_, _ = io.WriteString(w, `{"tags":[]}`)
		}, nil, fault.ErrUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			reg := parts.MemoryRegistry(t, answering(func(r *http.Request) bool { return c.answer != nil && list(r) }, c.answer))
			push(t, reg.Image("app:2"))
			push(t, reg.Image("app:1"))
			got, err := newTestClient(t, Options{}).Source().(transport.Tagging).Tags(t.Context(), transport.Name{Domain: reg.Addr, Path: "app"})
			switch {
			case c.err == failed:
				if err == nil || fault.Hint(err) == "" {
					t.Errorf("%v (hint %q), want an error with a hint", err, fault.Hint(err))
				}
			case !errors.Is(err, c.err), (err == nil) != (c.err == nil):
				t.Errorf("%v, want %v", err, c.err)
			}
			var tags []string
			for _, n := range got {
				if n.Domain != reg.Addr || n.Path != "app" || n.Digest != "" {
					t.Errorf("called %s", n)
				}
				tags = append(tags, n.Tag)
			}
			if !slices.Equal(tags, c.want) {
				t.Errorf("tags %q, want %q", tags, c.want)
			}
		})
	}
}
