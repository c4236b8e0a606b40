package verify

import (
	"strings"
	"testing"

	"bale/sign"
)

func TestSignerName(t *testing.T) {
	long := strings.Repeat("x", 300)
	for want, i := range map[string]sign.Identity{
		"68a6-34eb-4c6a-3965-ec3b":                        {Kind: sign.KindKey, Fingerprint: "68a6-34eb-4c6a-3965-ec3b"},
		"SHA256:Zm9v/+abc":                                {Kind: sign.KindSSH, Fingerprint: "SHA256:Zm9v/+abc", Subject: "me@host"},
		"D4E8B1A2C3D4E5F60718293A4B5C6D7E8F901234":        {Kind: sign.KindOpenPGP, Fingerprint: "D4E8B1A2C3D4E5F60718293A4B5C6D7E8F901234"},
		"me@example.org (https://accounts.example/oauth)": {Kind: sign.KindCertificate, Subject: "me@example.org", Issuer: "https://accounts.example/oauth"},
		"jos? ?quoted? ?[31m (CN=?CA?)":                   {Kind: sign.KindCertificate, Subject: "josé \"quoted\" \x1b[31m", Issuer: "CN='CA`"},
		"certificate":                                     {Kind: sign.KindCertificate},
		"?":                                               {},
		long[:256]:                                        {Kind: sign.KindCertificate, Subject: long},
		"a" + strings.Repeat(" ", 10) + "b (c)":           {Subject: " a" + strings.Repeat(" ", 10) + "b", Issuer: "c"},
		strings.TrimSpace(long[:250] + strings.Repeat(" ", 6)): {Subject: long[:250] + strings.Repeat(" ", 20) + "y"},
	} {
		got := signerName(Signer{Identity: i})
		if got != want || !isSignerName(got) {
			t.Errorf("%+v is called %q, want %q", i, got, want)
		}
	}
}

func FuzzSignerName(f *testing.F) {
	f.Add("68a6-34eb", "", "")
	f.Add("", "josé\n", "https://x")
	f.Fuzz(func(t *testing.T, fingerprint, subject, issuer string) {
		s := Signer{Identity: sign.Identity{Fingerprint: fingerprint, Subject: subject, Issuer: issuer}}
		if name := signerName(s); !isSignerName(name) {
			t.Fatalf("%q", name)
		}
	})
}
