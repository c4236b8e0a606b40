package sigstore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	trustpb "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"bale/bundle/fault"
	"bale/sign/sigstore"
)

const (
	configType = "application/vnd.dev.sigstore.signingconfig.v0.2+json"
	rootJSON   = `{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`
)

// config is a signing config of an instance that nobody asks, changed in some
// way.
func config(t testing.TB, change func(*trustpb.SigningConfig)) []byte {
	t.Helper()
	service := func(url string, version uint32) []*trustpb.Service {
		return []*trustpb.Service{{Url: url, MajorApiVersion: version, Operator: "x", ValidFor: &commonpb.TimeRange{
			Start: timestamppb.New(time.Now().Add(-time.Hour)),
		}}}
	}
	c := &trustpb.SigningConfig{
		MediaType: configType, CaUrls: service("https://fulcio.example", 1), OidcUrls: service("https://issuer.example", 1),
		RekorTlogUrls: service("https://rekor.example", 2), RekorTlogConfig: &trustpb.ServiceConfiguration{Selector: trustpb.ServiceSelector_ANY},
		TsaUrls: service("https://tsa.example/t", 1), TsaConfig: &trustpb.ServiceConfiguration{Selector: trustpb.ServiceSelector_ANY},
	}
	change(c)
	b, err := protojson.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseInstance(t *testing.T) {
	i, err := sigstore.ParseInstance(config(t, func(*trustpb.SigningConfig) {}), []byte(rootJSON))
	if err != nil || i.Issuer() != "https://issuer.example" {
		t.Fatalf("issuer %q, %v", i.Issuer(), err)
	}
	// Rekor 1 says when it was, so it needs no timestamp authority.
	if _, err := sigstore.ParseInstance(config(t, func(c *trustpb.SigningConfig) {
		c.TsaUrls, c.TsaConfig, c.RekorTlogUrls[0].MajorApiVersion = nil, nil, 1
	}), []byte(rootJSON)); err != nil {
		t.Error(err)
	}
	past := &commonpb.TimeRange{Start: timestamppb.New(time.Unix(1, 0)), End: timestamppb.New(time.Unix(2, 0))}
	for text, change := range map[string]func(*trustpb.SigningConfig){
		"no Fulcio that bale can use now":              func(c *trustpb.SigningConfig) { c.CaUrls = nil },
		"no Fulcio that bale can use now ":             func(c *trustpb.SigningConfig) { c.CaUrls[0].MajorApiVersion = 9 },
		"no Fulcio that bale can use now  ":            func(c *trustpb.SigningConfig) { c.CaUrls[0].ValidFor = past },
		"no Rekor that bale can use now":               func(c *trustpb.SigningConfig) { c.RekorTlogUrls[0].MajorApiVersion = 9 },
		"no Rekor that bale can use now ":              func(c *trustpb.SigningConfig) { c.RekorTlogConfig = nil },
		"no timestamp authority that bale can use now": func(c *trustpb.SigningConfig) { c.TsaUrls[0].ValidFor = past },
		"no timestamp authority that bale can use now ": func(c *trustpb.SigningConfig) {
			c.TsaConfig = &trustpb.ServiceConfiguration{Selector: trustpb.ServiceSelector_EXACT, Count: 7}
		},
		"nobody who proves when":  func(c *trustpb.SigningConfig) { c.TsaUrls = nil },
		"nobody who proves when ": func(c *trustpb.SigningConfig) { c.TsaUrls, c.RekorTlogUrls = nil, nil },
		"in clear":                func(c *trustpb.SigningConfig) { c.CaUrls[0].Url = "http://fulcio.example" },
		"user or password":        func(c *trustpb.SigningConfig) { c.CaUrls[0].Url = "https://u:hunter2@fulcio.example" },
		"user or password ":       func(c *trustpb.SigningConfig) { c.RekorTlogUrls[0].Url = "https://u:hunter2@rekor.example" },
		"none of http or https":   func(c *trustpb.SigningConfig) { c.TsaUrls[0].Url = "ftp://tsa.example" },
		"more than 32": func(c *trustpb.SigningConfig) {
			for range 40 {
				c.CaUrls = append(c.CaUrls, proto.Clone(c.CaUrls[0]).(*trustpb.Service))
			}
		},
	} {
		i, err := sigstore.ParseInstance(config(t, change), []byte(rootJSON))
		if i != nil || !errors.Is(err, fault.ErrUsage) || !strings.Contains(err.Error(), strings.TrimSpace(text)) {
			t.Errorf("%q: %v", text, err)
		}
		if err != nil && strings.Contains(err.Error()+fault.Hint(err), "hunter2") {
			t.Errorf("%v shows a password", err)
		}
	}
	for name, c := range map[string]struct {
		config, root string
		kind         error
		text         string
	}{
		"not JSON":        {"x", rootJSON, fault.ErrUsage, "signing config cannot be read"},
		"another version": {`{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.9+json"}`, rootJSON, fault.ErrUnsupported, "signing config"},
		"no root":         {string(config(t, func(*trustpb.SigningConfig) {})), "{}", fault.ErrUsage, "trusted root cannot be read"},
		"root not JSON":   {string(config(t, func(*trustpb.SigningConfig) {})), "x", fault.ErrUsage, "trusted root cannot be read"},
	} {
		_, err := sigstore.ParseInstance([]byte(c.config), []byte(c.root))
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) || fault.Hint(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzParseInstance: what is accepted has an issuer that is an address or none;
// nothing panics.
func FuzzParseInstance(f *testing.F) {
	f.Add(config(f, func(*trustpb.SigningConfig) {}), []byte(rootJSON))
	f.Add(config(f, func(c *trustpb.SigningConfig) { c.TsaConfig = nil }), []byte(rootJSON))
	f.Add([]byte(`{"mediaType":"`+configType+`"}`), []byte(rootJSON))
	f.Add([]byte(`{}`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, config, root []byte) {
		i, err := sigstore.ParseInstance(config, root)
		if (i == nil) == (err == nil) {
			t.Fatalf("instance %v with error %v", i, err)
		}
		if err != nil && (len(err.Error()) > 1000 || strings.ContainsAny(err.Error(), "\n\x1b")) {
			t.Errorf("%q", err)
		}
	})
}
