package certificate_test

import (
	"bytes"
	"testing"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	trustrootpb "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	sigstorebundle "github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	sigstoreverify "github.com/sigstore/sigstore-go/pkg/verify"

	"bale/verify/certificate"
)

// library is what sigstore-go's own verifier says, told to demand what package
// certificate does.
func library(i *instance, change func(*trustrootpb.TrustedRoot), who certificate.Identity, pb *bundlepb.Bundle, message []byte) error {
	tr, err := root.NewTrustedRootFromJSON(i.trustedRoot(change))
	if err != nil {
		return err
	}
	options := []sigstoreverify.VerifierOption{sigstoreverify.WithObserverTimestamps(1)}
	if len(tr.RekorLogs()) > 0 {
		options = append(options, sigstoreverify.WithTransparencyLog(1))
	}
	if len(tr.CTLogs()) > 0 {
		options = append(options, sigstoreverify.WithSignedCertificateTimestamps(1))
	}
	v, err := sigstoreverify.NewVerifier(tr, options...)
	if err != nil {
		return err
	}
	entity, err := sigstorebundle.NewBundle(pb)
	if err != nil {
		return err
	}
	id, err := sigstoreverify.NewShortCertificateIdentity(who.Issuer, who.IssuerRegexp, who.Subject, who.SubjectRegexp)
	if err != nil {
		return err
	}
	_, err = v.Verify(entity, sigstoreverify.NewPolicy(sigstoreverify.WithArtifact(bytes.NewReader(message)), sigstoreverify.WithCertificateIdentity(id)))
	return err
}

// checkAgainstLibrary fails if what was accepted here would not be by sigstore-go.
func checkAgainstLibrary(t *testing.T, i *instance, change func(*trustrootpb.TrustedRoot), who certificate.Identity, pb *bundlepb.Bundle) {
	t.Helper()
	if err := library(i, change, who, pb, sums); err != nil {
		t.Errorf("accepted, but sigstore-go says %v", err)
	}
}
