package bundle

import (
	"context"
	"fmt"
	"io"

	"bale/bundle/container"
	"bale/bundle/fault"
)

// MaxSignature is the greatest size of one signature entry, in bytes.
const MaxSignature = 64 << 10

// maxAbsentSums is how many bytes of SHA256SUMS may be about packs that are not
// there, of a receipt: some 29,000 packs, or 900 GB.
const maxAbsentSums = 4 << 20

// Signature is one signature entry of a bundle as it was found: not checked,
// not even parsed.
type Signature struct {
	Entry string // the tar entry, such as "SHA256SUMS.sigstore.json"
	Data  []byte
}

// Envelope is what may be read of a bundle before it is trusted: tar headers,
// SHA256SUMS and the signatures over it. Nothing else has been touched, and
// nothing of it is believed yet.
type Envelope struct {
	c          *container.Reader
	sums       []byte
	signatures []Signature
}

// Scan takes in the envelope of a bundle of size bytes. What is no bundle, or
// one that was cut or altered in its container, is a [fault.ErrDamaged].
func Scan(ctx context.Context, r io.ReaderAt, size int64) (*Envelope, error) {
	c, err := container.Scan(ctx, r, size)
	if err != nil {
		return nil, err
	}
	e := &Envelope{c: c}
	sums, ok := c.Find(container.SumsName)
	if !ok {
		return nil, fault.Damaged("the bundle has no %s", container.SumsName)
	}
	if e.sums, err = c.ReadFile(sums, maxSumLine*int64(len(c.Entries()))+maxAbsentSums); err != nil {
		return nil, err
	}
	for _, entry := range c.Entries() {
		if !container.IsSignature(entry.Name) {
			continue
		}
		data, err := c.ReadFile(entry, MaxSignature)
		if err != nil {
			return nil, err
		}
		e.signatures = append(e.signatures, Signature{Entry: entry.Name, Data: data})
	}
	return e, nil
}

// NewEnvelope returns an envelope made of its parts, for deciding about a
// bundle whose entries lie apart (unpacked in a folder, say). It cannot be
// given to [Open].
func NewEnvelope(sums []byte, signatures []Signature) *Envelope {
	return &Envelope{sums: sums, signatures: signatures}
}

// Sums returns the bytes of SHA256SUMS, the one thing that is signed.
func (e *Envelope) Sums() []byte { return e.sums }

// Signatures returns the signature entries in the order they were found.
func (e *Envelope) Signatures() []Signature { return e.signatures }

// matchEntries compares the entries with the sums: the same names in the same
// order. It returns the hash for each entry. unknown is the first entry whose
// kind this version does not know, absent are the packs that are not there.
func (e *Envelope) matchEntries() (hashes map[string][32]byte, unknown string, absent []string, err error) {
	sums, err := ParseSums(e.sums)
	if err != nil {
		return nil, "", nil, err
	}
	hashes = make(map[string][32]byte, len(sums))
	i := 0
	for _, entry := range e.c.Entries() {
		if entry.Name == container.SumsName || container.IsSignature(entry.Name) {
			continue
		}
		for i < len(sums) && sums[i].Name != entry.Name && e.lacks(sums[i].Name) {
			absent = append(absent, sums[i].Name)
			hashes[sums[i].Name] = sums[i].Hash
			i++
		}
		if i == len(sums) || sums[i].Name != entry.Name {
			return nil, "", nil, mismatch(entry.Name, sums[min(i, len(sums)):])
		}
		if !container.IsKnown(entry.Name) && unknown == "" {
			unknown = entry.Name
		}
		hashes[entry.Name] = sums[i].Hash
		i++
	}
	if i < len(sums) {
		return nil, "", nil, fault.Damaged("entry %s is missing from the bundle", sums[i].Name)
	}
	return hashes, unknown, absent, nil
}

// lacks reports whether a name is that of a pack which is not there.
func (e *Envelope) lacks(name string) bool {
	if _, ok := container.PackDigest(name); !ok {
		return false
	}
	_, there := e.c.Find(name)
	return !there
}

// mismatch says in which way an entry is not what the sums list next.
func mismatch(entry string, left []Sum) error {
	for _, s := range left {
		if s.Name == entry {
			return fault.Damaged("entry %s is missing before %s, or stands elsewhere", left[0].Name, entry)
		}
	}
	return fault.Damaged("entry %s is not in %s, or there twice", entry, container.SumsName)
}

// read reads a whole entry and checks it against its sum.
func (e *Envelope) read(name string, limit int64, hashes map[string][32]byte) ([]byte, error) {
	entry, ok := e.c.Find(name)
	if !ok {
		return nil, fault.Damaged("the bundle has no %s", name)
	}
	b, err := e.c.ReadFile(entry, limit)
	if err != nil {
		return nil, err
	}
	if err := checkSum(name, b, hashes); err != nil {
		return nil, fmt.Errorf("read bundle: %w", err)
	}
	return b, nil
}
