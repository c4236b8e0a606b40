package image

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// hex64 is what a digest has in it.
var hex64 = strings.Repeat("5a", 32)

// again checks what every parser here promises: what it takes is UTF-8 and one
// JSON object, in which no reader of Go's kind finds another member than by
// exactly its name.
func again(t *testing.T, data []byte) map[string]json.RawMessage {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal(data, &m); err != nil || m == nil || !utf8.Valid(data) {
		t.Fatalf("taken, and no JSON object: %v", err)
	}
	return m
}

func FuzzPayload(f *testing.F) {
	for _, s := range []string{
		`{"critical":{"identity":{"docker-reference":"r"},"image":{"docker-manifest-digest":"sha256:` + hex64 + `"},"type":"cosign container image signature"},"optional":null}`,
		`{"critical":{"image":{"docker-manifest-digest":"sha256:` + hex64 + `"},"type":"cosign container image signature"},"optional":{"a":[1,{"b":2}]}}`,
		`{"critical":{"image":{"docker-manifest-digest":"sha256:x"},"type":"cosign container image signature"}}`,
		`{"critical":null}`, `{"critical":{},"critical":{}}`, `{"Critical":{}}`, `[]`, `null`, ``, `{"a":{"a":{"a":[[[{"b":1,"b":2}]]]}}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := parsePayload(data)
		if err != nil {
			return
		}
		again(t, data)
		if p.image.Validate() != nil {
			t.Fatalf("names the image %q", p.image)
		}
		// What was read is written down exactly once.
		if n := strings.Count(string(data), p.image.Encoded()); n == 0 && !strings.Contains(string(data), `\u`) {
			t.Fatalf("%s is nowhere in %s", p.image, data)
		}
	})
}

func FuzzStatement(f *testing.F) {
	for _, s := range []string{
		`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` + hex64 + `"},"annotations":{}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}`,
		`{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"name":"x","digest":{"sha1":"0","sha512":"1"}},{"name":"y"}],"predicateType":"x"}`,
		`{"_type":"https://in-toto.io/Statement/v1","subject":null,"predicateType":"x"}`,
		`{"_type":"https://in-toto.io/Statement/v1","subject":{},"predicateType":1}`,
		`{"_type":"https://in-toto.io/Statement/v2"}`, `{"subject":[{"digest":{"a":"b","a":"c"}}]}`, `[]`, `null`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseStatement(data)
		if err != nil {
			return
		}
		again(t, data)
		if s.predicate == "" || len(s.subjects) > maxSubjects {
			t.Fatalf("%+v", s)
		}
	})
}

func FuzzManifest(f *testing.F) {
	for _, s := range []string{
		`{"schemaVersion":2,"layers":[{"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json","size":246,"digest":"sha256:` + hex64 + `","annotations":{"dev.cosignproject.cosign/signature":"AAAA","dev.sigstore.cosign/bundle":"{\"SignedEntryTimestamp\":\"AAAA\",\"Payload\":{\"body\":\"e30=\",\"logID\":\"00\",\"integratedTime\":1,\"logIndex\":2}}","dev.sigstore.cosign/rfc3161timestamp":"{\"SignedRFC3161Timestamp\":\"AAAA\"}","dev.sigstore.cosign/certificate":"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}}],"subject":{"digest":"sha256:` + hex64 + `"}}`,
		`{"layers":[{"mediaType":"application/vnd.dsse.envelope.v1+json","digest":"sha256:` + hex64 + `","annotations":{"dev.sigstore.cosign/chain":"x","dev.sigstore.cosign/certificate":"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----"}}]}`,
		`{"layers":[{"annotations":{"a":1}}]}`, `{"layers":null,"subject":null}`, `{"layers":[null]}`, `{"layers":{}}`, `[]`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		layers, subject, err := parseLayers(data)
		if err != nil {
			if layers != nil || subject != "" {
				t.Fatal("a result and an error")
			}
			return
		}
		again(t, data)
		if len(layers) > MaxFindings || subject != "" && subject.Validate() != nil {
			t.Fatalf("%d layers of %q", len(layers), subject)
		}
		for _, l := range layers {
			if l.limit() < 0 || l.limit() > MaxEnvelope {
				t.Fatalf("limit %d", l.limit())
			}
			pb, err := l.signature(nil)
			if err != nil {
				continue
			}
			if len(pb.GetMessageSignature().GetSignature()) == 0 || pb.GetVerificationMaterial().GetContent() == nil {
				t.Fatalf("%v", pb)
			}
			if n := len(pb.GetVerificationMaterial().GetX509CertificateChain().GetCertificates()); n > maxChain {
				t.Fatalf("%d certificates", n)
			}
			for _, e := range pb.GetVerificationMaterial().GetTlogEntries() {
				again(t, e.GetCanonicalizedBody())
			}
		}
	})
}

func FuzzEnvelope(f *testing.F) {
	for _, s := range []string{
		`{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"","sig":"AAAA"}]}`,
		`{"payload":"e30=","signatures":[{"sig":"AAAA"},{"sig":"AAAA"}]}`, `{"payload":"e3 0="}`, `{"signatures":[null]}`, `{"signatures":[{"sig":"AAB="}]}`, `[]`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		env, err := parseEnvelope(data)
		if err != nil {
			if env != nil {
				t.Fatal("a result and an error")
			}
			return
		}
		again(t, data)
		if len(env.GetSignatures()) != 1 || len(env.GetSignatures()[0].GetSig()) == 0 {
			t.Fatalf("%v", env)
		}
	})
}
