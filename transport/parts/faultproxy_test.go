package parts

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestKindOf(t *testing.T) {
	const d = "sha256:0123"
	for request, want := range map[string]RequestKind{
		"GET /v2/": Ping, "GET /v2": Ping, "GET /token": OtherRequest, "GET " + faultTokenPath: GetToken,
		"HEAD /v2/a/manifests/1": HeadManifestTag, "GET /v2/a/b/manifests/1": GetManifestTag,
		"HEAD /v2/a/manifests/" + d: HeadManifestDigest, "GET /v2/a/manifests/" + d: GetManifestDigest,
		"PUT /v2/a/manifests/1": PutManifestTag, "PUT /v2/a/manifests/" + d: PutManifestDigest,
		"DELETE /v2/a/manifests/1": DeleteManifest, "HEAD /v2/a/blobs/" + d: HeadBlob, "GET /v2/a/blobs/" + d: GetBlob,
		"DELETE /v2/a/blobs/" + d: DeleteBlob, "POST /v2/a/blobs/uploads/": PostUpload,
		"POST /v2/a/blobs/uploads/?mount=x": PostUpload, "POST /v2/a/blobs/uploads/?mount=x&from=b": PostMount,
		"GET /v2/a/blobs/uploads/1": GetUpload, "PATCH /v2/a/blobs/uploads/1": PatchUpload,
		"PUT /v2/a/blobs/uploads/1": PutUpload, "DELETE /v2/a/blobs/uploads/1": DeleteUpload,
		"GET /v2/a/referrers/" + d: GetReferrers, "GET /v2/a/tags/list": ListTags, "GET /v2/_catalog": OtherRequest,
		"GET /v2/blobs/manifests/1": GetManifestTag, "GET /v2/manifests/blobs/" + d: GetBlob,
	} {
		method, url, _ := strings.Cut(request, " ")
		r, err := http.NewRequestWithContext(t.Context(), method, "http://r"+url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := KindOf(r); got != want {
			t.Errorf("%s is %q, want %q", request, got, want)
		}
	}
}

// TestFaults asks for the same thing with every fault, and then without.
func TestFaults(t *testing.T) {
	const text = `{"tags":["one","two","three"]}`
	up := MemoryRegistry(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Docker-Content-Digest", "sha256:right")
			_, _ = io.WriteString(w, text)
		})
	})
	p := FaultProxy(t, up)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ask := func() (resp *http.Response, body string, err error) {
		resp, err = client.Get("http://" + p.Image("v2/a/tags/list"))
		if err != nil {
			return nil, "", err
		}
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(resp.Body)
		return resp, string(b), err
	}
	for do, good := range map[FaultAction]func(*http.Response, string, error) bool{
		ResetBefore: func(_ *http.Response, _ string, err error) bool { return errors.Is(err, syscall.ECONNRESET) },
		ResetAnswer: func(_ *http.Response, _ string, err error) bool { return errors.Is(err, syscall.ECONNRESET) },
		ResetMiddle: func(_ *http.Response, b string, err error) bool { return err != nil && b != text },
		Truncate: func(resp *http.Response, b string, err error) bool {
			return errors.Is(err, io.ErrUnexpectedEOF) && b == text[:len(text)/2] && resp.ContentLength == int64(len(text))
		},
		TooMany: func(resp *http.Response, _ string, _ error) bool {
			return resp.StatusCode == 429 && resp.Header.Get("Retry-After") == "0"
		},
		Error500:     func(resp *http.Response, b string, _ error) bool { return resp.StatusCode == 500 && b != "" },
		Error503:     func(resp *http.Response, b string, _ error) bool { return resp.StatusCode == 503 && b != "" },
		Unauthorized: func(resp *http.Response, b string, _ error) bool { return resp.StatusCode == 401 && b != "" },
		FlipByte: func(_ *http.Response, b string, err error) bool {
			return err == nil && len(b) == len(text) && b != text
		},
		WrongDigest: func(resp *http.Response, b string, err error) bool {
			return err == nil && b == text && strings.HasPrefix(resp.Header.Get("Docker-Content-Digest"), "sha256:000")
		},
		WrongLength: func(_ *http.Response, b string, err error) bool { return err == nil && b == text[:len(text)-1] },
	} {
		p.Arm(Fault{Kind: ListTags, Nth: 2, Do: do})
		for i := 1; i <= 3; i++ {
			resp, body, err := ask()
			right := err == nil && resp.StatusCode == 200 && body == text && resp.Header.Get("Docker-Content-Digest") == "sha256:right"
			if i != 2 && !right || i == 2 && (right || !good(resp, body, err)) {
				t.Errorf("%s, request %d: %q, %v", do, i, body, err)
			}
		}
		if p.Hits() != 1 || p.Count(ListTags) != 3 || len(p.Seen()) != 3 {
			t.Errorf("%s: %d hits, seen %q", do, p.Hits(), p.Seen())
		}
	}
	for _, do := range []FaultAction{Stall, StallMiddle} {
		p.Arm(Fault{Kind: ListTags, Do: do})
		client.Timeout = 200 * time.Millisecond
		_, body, err := ask()
		var slow net.Error
		if !errors.As(err, &slow) || !slow.Timeout() || body == text || p.Hits() != 1 {
			t.Errorf("%s: %q, %v, %d hits", do, body, err, p.Hits())
		}
	}
}

// TestFaultResetBody lets the registry see half of what is sent.
func TestFaultResetBody(t *testing.T) {
	seen := make(chan int, 1)
	up := MemoryRegistry(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			if err == nil {
				t.Error("the body had a proper end")
			}
			seen <- len(b)
		})
	})
	p := FaultProxy(t, up, Fault{Kind: PatchUpload, Nth: 1, Do: ResetBody})
	body := strings.NewReader(strings.Repeat("x", 1000))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, "http://"+p.Image("v2/a/blobs/uploads/1"), body)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(req); err == nil {
		_ = resp.Body.Close()
		t.Errorf("answer %d", resp.StatusCode)
	}
	if n := <-seen; n != 500 {
		t.Errorf("the registry saw %d bytes", n)
	}
}
