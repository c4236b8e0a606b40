package bundle

import (
	"cmp"
	"context"
	"io"
	"slices"

	"bale/bundle/container"
	"bale/bundle/fault"
)

// ArrangeSignatures returns signatures as a bundle has them: those of a form
// together, in the order that they came in and under its names; then those of
// forms that this version does not know, by name. It fails with
// [fault.ErrUsage] if a bundle cannot take them.
func ArrangeSignatures(list []Signature) ([]Signature, error) {
	out := slices.Clone(list)
	slices.SortStableFunc(out, func(a, b Signature) int {
		fa, _ := container.SignatureForm(a.Entry)
		fb, _ := container.SignatureForm(b.Entry)
		switch {
		case fa == container.NoForm && fb == container.NoForm:
			return cmp.Compare(a.Entry, b.Entry)
		case fa == container.NoForm:
			return 1
		case fb == container.NoForm:
			return -1
		}
		return cmp.Compare(fa, fb)
	})
	count := make(map[container.Form]int)
	for i := range out {
		s := &out[i]
		form, _ := container.SignatureForm(s.Entry)
		n := count[form]
		count[form]++
		switch {
		case !container.IsSignature(s.Entry):
			return nil, fault.Usage("%q is not the name of a signature", s.Entry)
		case len(s.Data) > MaxSignature:
			return nil, fault.Usage("a signature of %d bytes is over the limit of %d", len(s.Data), MaxSignature)
		case form == container.NoForm && i > 0 && out[i-1].Entry == s.Entry:
			return nil, fault.Usage("two signatures of the name %s", s.Entry)
		case form != container.NoForm && n == container.MaxSignatures:
			return nil, fault.WithHint(fault.Usage("a bundle takes at most %d signatures of %s form", container.MaxSignatures, form),
				"remove one of them with --remove ENTRY")
		}
		if form != container.NoForm {
			s.Entry = container.SignatureName(form, n)
		}
	}
	if len(out) > container.MaxSignatureEntries {
		return nil, fault.Usage("a bundle takes at most %d signatures", container.MaxSignatureEntries)
	}
	return out, nil
}

// Resign writes the bundle with these signatures in place of its own. All that
// stands before signatures is copied byte for byte, and not looked at: who signs
// it has checked it. The signatures must be arranged, see [ArrangeSignatures].
func (e *Envelope) Resign(ctx context.Context, w io.Writer, arranged []Signature) error {
	if err := e.c.CopyBody(ctx, w); err != nil {
		return err
	}
	out, err := container.NewWriter(w, e.c.Modified())
	if err != nil {
		return err
	}
	for _, s := range arranged {
		if err := out.Add(s.Entry, s.Data); err != nil {
			return err
		}
	}
	return out.Close()
}
