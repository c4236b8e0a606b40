package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bale/bundle"
	"bale/bundle/commit"
	"bale/bundle/container"
	"bale/bundle/fault"
	"bale/sign"
	"bale/transport/bale"
	"bale/transport/tarfile"
	"bale/verify"
)

type signOptions struct {
	who    signingFlags
	verify []string // public keys
	attach []string
	remove []string
	output string
	detach string
	force  bool
}

func newSign(a *app) *cobra.Command {
	var o signOptions
	c := &cobra.Command{
		Use:   "sign --key KEY FILE",
		Short: "Add signatures to a bundle that is finished",
		Long: `Add signatures to a bundle, receipt or inventory. All that stands before signatures
stays as it is, byte for byte; those that are there stay too. The file is replaced by
the signed one when that is complete, or not at all, which takes room for both meanwhile;
with -o FILE is left alone.

What is signed is SHA256SUMS, so all that it lists is read first and compared with its sum,
and what the bundle says of itself is shown. Nobody vouches for that before: with
--verify-key the bundle is only signed if somebody whom you know has signed it already.

A key that has signed already does not sign again. One bundle takes up to 32 signatures
of each form: Sigstore, OpenPGP, SSH.

Signatures can be made elsewhere. --detach DIR leaves the bundle alone and writes SHA256SUMS
into a folder, and beside it the signatures of the --keys, if there are any. What cosign
sign-blob --bundle, gpg --armor --detach-sign or ssh-keygen -Y sign -n file makes of that
SHA256SUMS, --attach puts into the bundle. It must be well-formed, and over this
bundle if it says what it is over; with --verify-key it is verified, and must be by one of
these keys.

--remove takes a signature out, by the name of its entry, which bale inspect shows: when
a key is not used any more, say.
` + signingHelp,
		Example: `  bale sign --key release.key app.bale
  bale sign --key second.key --verify-key first.pub -o app-2.bale app.bale
  bale sign --detach sums app.bale
  bale sign --attach sums/SHA256SUMS.asc app.bale
  bale sign --remove SHA256SUMS.sigstore.json --key new.key app.bale`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.sign(cmd.Context(), o, args[0]) },
	}
	f := c.Flags()
	o.who.add(c)
	f.StringArrayVar(&o.verify, "verify-key", nil, "public key `FILE`; may be given several times, one must have signed the bundle already")
	f.StringArrayVar(&o.attach, "attach", nil, "`FILE` with a signature over the bundle's SHA256SUMS to add; may be given several times")
	f.StringArrayVar(&o.remove, "remove", nil, "`ENTRY` of a signature to take out; may be given several times")
	f.StringVarP(&o.output, "output", "o", "", "`FILE` to write, in place of replacing the bundle")
	f.StringVar(&o.detach, "detach", "", "write SHA256SUMS and the signatures into the folder `DIR`, and leave the bundle alone")
	f.BoolVar(&o.force, "force", false, "replace files that are there")
	a.jsonFlag(c)
	return c
}

func (o *signOptions) check(path string) error {
	switch {
	case o.who.none() && len(o.attach) == 0 && len(o.remove) == 0 && o.detach == "":
		if err := o.who.check(); err != nil { // such as --identity-token without --keyless
			return err
		}
		return fault.WithHint(fault.Usage("no key was given to sign the bundle with"), "give one with --key bale.key, or a signature with --attach")
	case o.detach != "" && (o.output != "" || len(o.attach) > 0 || len(o.remove) > 0):
		return fault.Usage("--detach leaves the bundle alone, so -o, --attach and --remove make no sense with it")
	case o.output == bale.Stdout:
		return fault.WithHint(fault.Usage("a signed bundle is not written to standard output"), "give a file: -o FILE")
	case path == tarfile.Stdin && o.output == "" && o.detach == "":
		return fault.WithHint(fault.Usage("what comes through a pipe cannot be replaced"), "say where to: -o FILE")
	case o.output != "" && sameFile(path, o.output):
		return fault.WithHint(fault.Usage("%s is the bundle itself", o.output), "leave -o out to replace it")
	case o.force && o.output == "" && o.detach == "":
		return fault.Usage("--force says nothing without -o or --detach: a bundle is always replaced")
	}
	return o.who.check()
}

// resigning is a bundle that gets other signatures.
type resigning struct {
	a      *app
	o      signOptions
	path   string
	file   *bale.File
	closed bool
	list   []bundle.Signature // as they will be
	result signResult
}

// signResult is what came of it.
type signResult struct {
	Bundle   string     `json:"bundle"`
	Output   string     `json:"output,omitempty"` // "" if no bundle was written
	Kind     string     `json:"kind"`
	ID       string     `json:"id"`
	Created  time.Time  `json:"created"`
	Name     string     `json:"name,omitempty"`
	Sequence uint64     `json:"sequence,omitempty"`
	Expires  *time.Time `json:"expires,omitempty"`
	Sums     string     `json:"sums"` // digest of SHA256SUMS
	counts
	Verified []signer         `json:"verified"` // by --verify-key
	Claims   []signatureClaim `json:"claims"`   // of all that is in it now
	Signed   []signer         `json:"signed"`   // now
	Already  []signer         `json:"signedAlready"`
	Attached []string         `json:"attached"` // files
	Present  []string         `json:"attachedAlready"`
	Removed  []string         `json:"removed"`
	Files    []string         `json:"files"` // of --detach
}

// signatureClaim is what a signature says of itself.
type signatureClaim struct {
	Entry string `json:"entry"`
	Form  string `json:"form"`
	By    string `json:"by,omitempty"`
}

func newClaim(c verify.Claim) signatureClaim {
	return signatureClaim{Entry: c.Entry, Form: c.Form.String(), By: c.By}
}

func (c signatureClaim) String() string {
	if c.By == "" {
		return fmt.Sprintf("has a signature of %s form (%s)", c.Form, c.Entry)
	}
	return fmt.Sprintf("claims to be signed by %s (%s)", verify.Clip(c.By), c.Entry)
}

func (a *app) sign(ctx context.Context, o signOptions, path string) (err error) {
	if err := o.check(path); err != nil {
		return err
	}
	keys, err := a.loadSigners(ctx, o.who)
	if err != nil {
		return err
	}
	trusted, err := readKeys(o.verify)
	if err != nil {
		return err
	}
	file, err := a.openFile(ctx, path)
	if err != nil {
		return err
	}
	s := &resigning{a: a, o: o, path: path, file: file}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.arrange(trusted); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	// It is found out before anything is read or signed that it cannot be written.
	out, err := s.create()
	if err != nil {
		return err
	}
	if out != nil {
		defer out.Discard()
	}
	if err := s.look(ctx); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	s.announce(len(keys.signers))
	if err := s.sign(ctx, keys); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	switch {
	case o.detach != "":
		err = s.writeApart(ctx)
	case o.output != "" || s.changed():
		err = s.write(ctx, out)
	}
	if err != nil {
		return err
	}
	return a.result(s.result, s.result.print)
}

func (s *resigning) close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	return s.file.Close()
}

// arrange takes out what is to be removed, puts in what is attached, and has
// those who are trusted look at it.
func (s *resigning) arrange(trusted []verify.Authority) error {
	env := s.file.Envelope()
	s.list = slices.Clone(env.Signatures())
	s.result = signResult{
		Bundle: s.path, Verified: []signer{}, Signed: []signer{}, Already: []signer{},
		Attached: []string{}, Present: []string{}, Removed: []string{}, Files: []string{},
	}
	for _, entry := range s.o.remove {
		i := slices.IndexFunc(s.list, func(x bundle.Signature) bool { return x.Entry == entry })
		if i < 0 {
			return fault.WithHint(fault.Missing("there is no signature %q to remove", entry), "bale inspect shows the signatures of a bundle")
		}
		s.list = slices.Delete(s.list, i, i+1)
		s.result.Removed = append(s.result.Removed, entry)
	}
	if err := s.claim(); err != nil {
		return fault.WithHint(err, "--remove ENTRY takes out a signature that cannot be read")
	}
	for _, path := range s.o.attach {
		if err := s.attach(path, trusted); err != nil {
			return fmt.Errorf("signature %s: %w", path, err)
		}
	}
	var err error
	if s.list, err = bundle.ArrangeSignatures(s.list); err != nil {
		return err
	}
	if len(s.o.verify) == 0 {
		return nil
	}
	res, err := decideFor(s.envelope(), verify.TrustAny(trusted...))
	if err != nil {
		return err
	}
	s.result.Verified = signersOf(res)
	return nil
}

// envelope is what will be decided about on the far side.
func (s *resigning) envelope() *bundle.Envelope {
	return bundle.NewEnvelope(s.file.Envelope().Sums(), s.list)
}

// claim lists what the signatures say of themselves, and refuses what cannot be
// read and would have the bundle refused.
func (s *resigning) claim() error {
	claims, err := verify.Claims(s.envelope())
	if err != nil {
		return err
	}
	s.result.Claims = []signatureClaim{}
	for _, c := range claims {
		s.result.Claims = append(s.result.Claims, newClaim(c))
	}
	return nil
}

// attach adds a signature from a file unless it is there. If anybody is trusted, it
// must be by one of them.
func (s *resigning) attach(path string, trusted []verify.Authority) error {
	data, err := readSignature(path)
	if err != nil {
		return err
	}
	said, err := verify.Recognize(data, s.file.Envelope().Sums())
	if err != nil {
		return err
	}
	for _, old := range s.list {
		if f, _ := container.SignatureForm(old.Entry); f == said.Form && bytes.Equal(bytes.TrimSpace(old.Data), bytes.TrimSpace(data)) {
			s.result.Present = append(s.result.Present, path)
			return nil
		}
	}
	for _, c := range s.result.Claims {
		if c.Form == said.Form.String() && c.By != "" && c.By == said.By {
			return fault.WithHint(fault.Usage("the bundle has one already that claims to be by %s: %s", verify.Clip(c.By), c.Entry),
				"to put this one in its place: --remove %s", c.Entry)
		}
	}
	one := bundle.Signature{Entry: container.SignatureName(said.Form, 0), Data: data}
	if len(trusted) > 0 {
		by, err := verify.SignersOf(bundle.NewEnvelope(s.file.Envelope().Sums(), []bundle.Signature{one}), trusted...)
		if err != nil {
			return err
		}
		if len(by) == 0 {
			return fault.WithHint(fault.Untrusted("is by none of the keys given to verify with"), "give its public key as well: --verify-key")
		}
	}
	s.list = append(s.list, one)
	s.result.Attached = append(s.result.Attached, path)
	return nil
}

// readSignature reads a file that may hold a signature.
func readSignature(path string) ([]byte, error) {
	fi, err := os.Stat(path) // before it is opened: a pipe would keep us waiting
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fault.WithHint(fault.Missing("no such file"), "check the path of the signature")
	case err != nil:
		return nil, err
	case !fi.Mode().IsRegular():
		return nil, fault.Usage("not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read from
	return io.ReadAll(io.LimitReader(f, bundle.MaxSignature+1))
}

// create makes the file to write to; nil if there is none.
func (s *resigning) create() (*commit.File, error) {
	switch {
	case s.o.detach != "":
		return nil, nil
	case s.o.output == "":
		out, err := commit.Create(s.path, commit.Overwrite())
		if err != nil {
			return nil, fmt.Errorf("write the signed bundle in its place (-o FILE writes it elsewhere): %w", err)
		}
		if !out.Owner(s.file.Info()) {
			s.a.note(fmt.Sprintf("%s will have another owner or group than before", s.path))
		}
		return out, nil
	}
	var opts []commit.Option
	if s.o.force {
		opts = append(opts, commit.Overwrite())
	}
	out, err := commit.Create(s.o.output, opts...)
	if err != nil {
		return nil, existing(err)
	}
	return out, nil
}

// look reads all of the bundle: what is damaged must not be signed.
func (s *resigning) look(ctx context.Context) error {
	// Who signs vouches for it. Until then it is as good as what it says of itself.
	res := verify.WithoutSignatureUnsafe(s.file.Envelope())
	r, err := bundle.OpenIndex(ctx, s.file.Envelope(), res)
	if err != nil {
		return err
	}
	m := s.a.progress()
	defer m.finish()
	m.Phase("check", r.PackBytes())
	if err := r.Check(ctx, m.Add); err != nil {
		return err
	}
	if err := bale.Complete(ctx, r); err != nil {
		return err
	}
	m.finish()
	v, h := &s.result, r.Header()
	if v.Kind = kindOf(r); v.Kind == bundleBase && isUpdate(r) {
		v.Kind = updateKind
	}
	v.ID, v.Created, v.Name, v.Sequence, v.Expires = h.ID, h.Created, h.Name, h.Sequence, h.Expires
	v.Sums = res.SumsDigest().String()
	v.counts, err = countImages(ctx, r)
	return err
}

// announce says what is about to be signed while it can still be stopped.
func (s *resigning) announce(signers int) {
	if signers == 0 {
		return
	}
	s.a.note("to be signed: " + s.result.what())
	for _, c := range s.result.Claims {
		s.a.note(c.String())
	}
	if s.result.Kind == receiptBase {
		s.a.note("a receipt lacks content that its SHA256SUMS lists: who signs it signs the bundle that it is of")
	}
	if t := s.result.Expires; t != nil && !time.Now().Before(*t) {
		s.a.warn(fmt.Sprintf("the bundle expired at %s: signatures do not change that", t.Format(time.RFC3339)))
	}
}

// sign has all sign who have not signed yet.
func (s *resigning) sign(ctx context.Context, keys *signing) error {
	sums := s.file.Envelope().Sums()
	by, err := signersIn(s.envelope(), keys.known)
	if err != nil {
		return fault.WithHint(err, "it is by a key that is to sign now and does not verify: take it out with --remove")
	}
	if len(keys.signers) == len(keys.known) && len(by) == len(keys.known) { // nobody is asked for a password or a touch in vain
		keys.signers = nil
	}
	if s.o.detach != "" { // only those of the keys are written
		s.list = slices.DeleteFunc(s.list, func(x bundle.Signature) bool {
			return !slices.ContainsFunc(by, func(b verify.Signer) bool { return b.Entry == x.Entry })
		})
	}
	made, err := sign.All(ctx, keys.signers, sums)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	for _, b := range by {
		s.result.Already = append(s.result.Already, newSigner(b.Identity))
	}
	for _, m := range made {
		if slices.ContainsFunc(by, func(b verify.Signer) bool { return isSigner(b.Identity, m.By) }) {
			continue
		}
		s.list = append(s.list, bundle.Signature{Entry: container.SignatureName(m.Form, 0), Data: m.Data})
		s.result.Signed = append(s.result.Signed, newSigner(m.By))
	}
	if s.list, err = bundle.ArrangeSignatures(s.list); err != nil {
		return err
	}
	// What is refused on the far side must not leave here.
	if _, err := signersIn(s.envelope(), keys.known); err != nil {
		return fmt.Errorf("check what was signed: %w", err)
	}
	if err := s.claim(); err != nil {
		return fmt.Errorf("check what was signed: %w", err)
	}
	return nil
}

// signersIn returns who of those known signed what is in an envelope.
func signersIn(env *bundle.Envelope, known []verify.Authority) ([]verify.Signer, error) {
	if len(known) == 0 {
		return nil, nil
	}
	return verify.SignersOf(env, known...)
}

// isSigner reports whether two identities are one. A comment in a key file is
// not part of it.
func isSigner(a, b sign.Identity) bool {
	if a.Fingerprint != "" || b.Fingerprint != "" {
		return a.Kind == b.Kind && a.Fingerprint == b.Fingerprint
	}
	return a == b
}

// changed reports whether the bundle will have other signatures.
func (s *resigning) changed() bool {
	v := &s.result
	return len(v.Signed)+len(v.Attached)+len(v.Removed) > 0
}

// write publishes the bundle with its new signatures.
func (s *resigning) write(ctx context.Context, out *commit.File) error {
	m := s.a.progress()
	defer m.finish()
	m.Phase("write", 0)
	if err := s.file.Resign(ctx, out, s.list); err != nil {
		return err
	}
	s.result.Output = s.o.output
	if s.o.output == "" {
		s.result.Output = s.path
		// Two who sign it at once must not lose the signature of one.
		if err := s.file.Unchanged(); err != nil {
			return err
		}
		// Some systems do not replace a file that is open.
		if err := s.close(); err != nil {
			return err
		}
	}
	return out.Commit(ctx)
}

// writeApart writes SHA256SUMS and the signatures as files of their own.
func (s *resigning) writeApart(ctx context.Context) error {
	dir := s.o.detach
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fault.WithHint(fmt.Errorf("make the folder for signatures: %w", err), "choose another folder")
	}
	var opts []commit.Option
	if s.o.force {
		opts = append(opts, commit.Overwrite())
	}
	for _, f := range append([]bundle.Signature{{Entry: container.SumsName, Data: s.file.Envelope().Sums()}}, s.list...) {
		path := filepath.Join(dir, f.Entry)
		if f.Entry == container.SumsName && hasContent(path, f.Data) {
			// It lies there from the time that somebody else signed it.
			s.result.Files = append(s.result.Files, path)
			continue
		}
		if err := commit.WriteFile(ctx, path, f.Data, opts...); err != nil {
			return existing(err)
		}
		s.result.Files = append(s.result.Files, path)
	}
	return nil
}

// hasContent reports whether a file has this content.
func hasContent(path string, data []byte) bool {
	fi, err := os.Lstat(path)
	if err != nil || !fi.Mode().IsRegular() || fi.Size() != int64(len(data)) {
		return false
	}
	old, err := os.ReadFile(path)
	return err == nil && bytes.Equal(old, data)
}

// what names the bundle and says what is in it.
func (v *signResult) what() string {
	parts := []string{fmt.Sprintf("%s: %s %s of %s, made %s", v.Bundle, v.Kind, v.ID, v.counts, v.Created.Format(time.RFC3339))}
	h := bundle.Header{Name: v.Name, Sequence: v.Sequence, Expires: v.Expires}
	for _, text := range []string{order(h), expiry(h)} {
		if text != "" {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, ", ")
}

func (v *signResult) print(w io.Writer) {
	fmt.Fprintln(w, v.what())
	fmt.Fprintf(w, "SHA256SUMS has %s\n", v.Sums)
	if len(v.Verified) > 0 {
		fmt.Fprint(w, "verified: ")
		printSigners(w, v.Verified)
	}
	for _, s := range v.Already {
		fmt.Fprintf(w, "signed already by %s\n", verify.Clip(s.who))
	}
	if len(v.Signed) > 0 {
		printSigners(w, v.Signed)
	}
	for _, p := range v.Attached {
		fmt.Fprintf(w, "attached %s\n", p)
	}
	for _, p := range v.Present {
		fmt.Fprintf(w, "attached already: %s\n", p)
	}
	for _, p := range v.Removed {
		fmt.Fprintf(w, "removed %s\n", p)
	}
	for _, c := range v.Claims {
		fmt.Fprintln(w, c)
	}
	switch {
	case len(v.Files) > 0:
		fmt.Fprintf(w, "wrote %s\n", strings.Join(v.Files, ", "))
	case v.Output == "":
		fmt.Fprintf(w, "%s: nothing to do, and left as it was\n", v.Bundle)
	case len(v.Claims) == 0:
		fmt.Fprintf(w, "%s: is not signed now\n", v.Output)
	default:
		fmt.Fprintf(w, "%s: has %s now\n", v.Output, count(len(v.Claims), "signature"))
	}
}
