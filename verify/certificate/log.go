package certificate

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekorpb "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	sigstoreverify "github.com/sigstore/sigstore-go/pkg/verify"
	formats "github.com/transparency-dev/formats/log"

	"bale/bundle/fault"
	"bale/sign"
	"bale/verify"
)

// entry is a verified entry of a log in the root.
type entry struct {
	log    string
	index  int64
	proven bool      // to be in the log, and not only promised
	at     time.Time // zero where the log does not say
	window window    // when the log was in use
}

// String says in words what was verified.
func (e entry) String() string {
	if e.proven {
		return fmt.Sprintf("log entry %d of %s, included", e.index, e.log)
	}
	return fmt.Sprintf("log entry %d of %s, promised", e.index, e.log)
}

// kinds are the entries that logs hold for signatures, by their versions, and
// whether it is an entry of Rekor 2.
var kinds = map[string]bool{
	"hashedrekord 0.0.1": false,
	"dsse 0.0.1":         false,
	"intoto 0.0.2":       false,
	"hashedrekord 0.0.2": true,
}

const signAgainHint = "have it signed again: a signature of cosign 3 or bale has one"

const logHint = "the signature or its log entry was altered, or the log lied: get the bundle again from its source"

// checkLogs returns the entries of logs in the root, of which there must be one
// if the root has logs. Entries of other logs are not even parsed.
func (r *Root) checkLogs(c *claim, s *signed) ([]entry, error) {
	logs := r.material.RekorLogs()
	if len(logs) == 0 {
		return nil, nil
	}
	var list []entry
	seen := make(map[string]bool)
	for _, e := range c.entries {
		id := hex.EncodeToString(e.GetLogId().GetKeyId())
		this := fmt.Sprintf("%s %d", id, e.GetLogIndex())
		if seen[this] {
			return nil, fault.Damaged("has a log entry twice")
		}
		seen[this] = true
		log := logs[id]
		if log == nil {
			continue
		}
		checked, err := r.checkEntry(c, s, e, log)
		if err != nil {
			return nil, err
		}
		list = append(list, checked)
	}
	if len(list) > 0 {
		return list, nil
	}
	if len(c.entries) == 0 {
		return nil, fault.WithHint(fault.Untrusted("signature has no entry in a transparency log, and the trusted root has logs"),
			"sign it so that it is logged (cosign sign-blob without --tlog-upload=false)")
	}
	return nil, fault.WithHint(fault.Untrusted("signature has an entry in no log of the trusted root, but in %d others", len(c.entries)),
		"use the trusted root of the Sigstore instance that it was signed with; if that is it, it is too old: get a new one")
}

// checkEntry verifies one entry of a log in the root.
func (r *Root) checkEntry(c *claim, s *signed, e *rekorpb.TransparencyLogEntry, log *root.TransparencyLog) (entry, error) {
	out := entry{
		log: verify.Clip(log.BaseURL), index: e.GetLogIndex(), proven: e.GetInclusionProof() != nil,
		window: window{log.ValidityPeriodStart, log.ValidityPeriodEnd},
	}
	two, err := checkKind(e)
	if err != nil {
		return out, err
	}
	if err := checkEvidence(e, two, c.bundle.GetMediaType() == version01); err != nil {
		return out, err
	}
	if out.proven {
		if err := checkProof(e, two); err != nil {
			return out, err
		}
	}
	if !two {
		t := time.Unix(e.GetIntegratedTime(), 0)
		if err := c.validAt(t, true); err != nil {
			return out, err
		}
		if err := out.window.holds("log "+out.log, t); err != nil {
			return out, err
		}
	}
	times, err := c.verifyEntry(e, r.material)
	if err != nil {
		return out, fault.WithHint(fault.Untrusted("log entry %d of %s does not verify: %s", out.index, out.log, verify.Clip(err.Error())), logHint)
	}
	if two {
		return out, checkBody(c, s, e)
	}
	for _, t := range times {
		out.at = t.Time
	}
	return out, nil
}

// verifyEntry has sigstore-go verify an entry alone, so that none stands in for
// another.
func (c *claim) verifyEntry(e *rekorpb.TransparencyLogEntry, material root.TrustedMaterial) ([]root.Timestamp, error) {
	only := &bundlepb.Bundle{
		MediaType: c.bundle.GetMediaType(),
		VerificationMaterial: &bundlepb.VerificationMaterial{
			Content: &bundlepb.VerificationMaterial_Certificate{
				Certificate: &commonpb.X509Certificate{RawBytes: c.leaf.Raw},
			},
			TlogEntries: []*rekorpb.TransparencyLogEntry{e},
		},
		Content: c.bundle.GetContent(),
	}
	b, err := bundle.NewBundle(only)
	if err != nil {
		return nil, err
	}
	return sigstoreverify.VerifyTlogEntry(b, material, 1, true)
}

// checkKind compares the kind of an entry with what it holds, and returns
// whether it is one of Rekor 2.
func checkKind(e *rekorpb.TransparencyLogEntry) (bool, error) {
	kind := e.GetKindVersion().GetKind() + " " + e.GetKindVersion().GetVersion()
	two, ok := kinds[kind]
	if !ok {
		return false, fault.Unsupported("has a log entry of the kind %q, which bale does not know", verify.Clip(kind))
	}
	var body struct{ Kind, APIVersion string }
	if err := json.Unmarshal(e.GetCanonicalizedBody(), &body); err != nil {
		return false, fault.Damaged("has a log entry that is not JSON: %w", err)
	}
	if is := body.Kind + " " + body.APIVersion; is != kind {
		return false, fault.Damaged("has a log entry of the kind %q that says it is of %q", verify.Clip(is), kind)
	}
	return two, nil
}

// checkEvidence demands a proof of inclusion, and of Rekor 1 the promise too:
// without it nobody vouches for the time and the index.
func checkEvidence(e *rekorpb.TransparencyLogEntry, two, old bool) error {
	promised := len(e.GetInclusionPromise().GetSignedEntryTimestamp()) > 0
	switch {
	case e.GetInclusionProof() == nil && !(old && promised):
		return fault.WithHint(fault.Untrusted("log entry has no proof that it is in the log"),
			signAgainHint)
	case !two && !promised:
		return fault.WithHint(fault.Untrusted("log entry has no promise of the log, which would prove its time"),
			signAgainHint)
	case two && (e.GetInclusionPromise() != nil || e.GetIntegratedTime() != 0):
		return fault.Damaged("has a log entry with a time, which logs of its kind do not give")
	}
	return nil
}

// checkProof compares a proof with its checkpoint, which the log signed.
func checkProof(e *rekorpb.TransparencyLogEntry, two bool) error {
	p := e.GetInclusionProof()
	var signed formats.Checkpoint
	if _, err := signed.Unmarshal([]byte(p.GetCheckpoint().GetEnvelope())); err != nil {
		return fault.Damaged("has a log entry with a checkpoint that cannot be read: %w", err)
	}
	if p.GetTreeSize() < 0 || uint64(p.GetTreeSize()) != signed.Size || !bytes.Equal(p.GetRootHash(), signed.Hash) {
		return fault.WithHint(fault.Untrusted("log entry has a proof for another checkpoint than it carries"), logHint)
	}
	if p.GetLogIndex() < 0 || two && p.GetLogIndex() != e.GetLogIndex() {
		return fault.WithHint(fault.Untrusted("log entry has a proof for entry %d and is %d", p.GetLogIndex(), e.GetLogIndex()), logHint)
	}
	return nil
}

// checkBody compares an entry of Rekor 2 with what was signed: sigstore-go does
// so only if the checkpoint is not one of Rekor 1.
func checkBody(c *claim, s *signed, e *rekorpb.TransparencyLogEntry) error {
	parsed, err := tlog.ParseTransparencyLogEntry(e)
	if err != nil {
		return fault.Damaged("has a log entry that cannot be read: %s", verify.Clip(err.Error()))
	}
	leaf, ok := parsed.PublicKey().(*x509.Certificate)
	if !ok || !leaf.Equal(c.leaf) || !bytes.Equal(parsed.Signature(), s.signature) {
		return fault.WithHint(fault.Untrusted("log entry is for another signature"), logHint)
	}
	digest, algorithm, _ := parsed.GetHashedRekordDigest()
	hash, ok := sign.NamedHash(commonpb.HashAlgorithm(commonpb.HashAlgorithm_value[algorithm]))
	if !ok || !slices.Equal(digest, s.digest(hash)) {
		return fault.WithHint(fault.Untrusted("log entry is for something else than was signed"), logHint)
	}
	return nil
}
