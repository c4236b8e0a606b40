package image

// predicates are the types of attestations that cosign has short names for.
var predicates = map[string]string{
	"custom":           "https://cosign.sigstore.dev/attestation/v1",
	"cyclonedx":        "https://cyclonedx.org/bom",
	"link":             "https://in-toto.io/Link/v1",
	"openvex":          "https://openvex.dev/ns",
	"slsaprovenance":   "https://slsa.dev/provenance/v0.2",
	"slsaprovenance02": "https://slsa.dev/provenance/v0.2",
	"slsaprovenance1":  "https://slsa.dev/provenance/v1",
	"spdx":             "https://spdx.dev/Document",
	"spdxjson":         "https://spdx.dev/Document",
	"vuln":             "https://cosign.sigstore.dev/attestation/vuln/v1",
}

// PredicateType returns the type of an attestation by the short name that cosign
// attest --type takes; any other is taken as it is.
func PredicateType(name string) string {
	if full := predicates[name]; full != "" {
		return full
	}
	return name
}
