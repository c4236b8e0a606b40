package openpgp

import "slices"

// Signers returns whose the signatures in an entry say they are: fingerprints, or
// key ids where that is all there is. Nothing of it is verified; but the entry is
// well-formed, or else the error is that of [Key.Verify].
func Signers(entry []byte) ([]string, error) {
	list, err := parseEntry(entry)
	if err != nil {
		return nil, err
	}
	var by []string
	for _, s := range list {
		if name := s.by(); !slices.Contains(by, name) {
			by = append(by, name)
		}
	}
	return by, nil
}
