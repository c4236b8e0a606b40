package deflate

import "fmt"

// Engine is the version of all that finds and rebuilds: what has been proven
// with one version is not with another. It is raised whenever a model predicts
// otherwise than before, which the golden vectors notice.
const Engine = 1

// paramsVersion is raised when the meaning of params or corrections changes.
const paramsVersion = 1

// paramsSize is the size of params in bytes: version, family, variant, level,
// memory, framing.
const paramsSize = 6

// errNewer says that params were written by a newer version.
var errNewer = fmt.Errorf("%w: it is of a newer version", ErrRecipe)

func (ch Choice) params() []byte {
	return []byte{paramsVersion, byte(ch.Family), ch.Variant, byte(ch.Level), ch.Memory, byte(ch.Framing)}
}

func parseParams(b []byte) (Choice, error) {
	if len(b) != paramsSize {
		return Choice{}, misfit("parameters of %d bytes", len(b))
	}
	if b[0] != paramsVersion {
		return Choice{}, errNewer
	}
	return Choice{Family: Family(b[1]), Variant: b[2], Level: int8(b[3]), Memory: b[4], Framing: Framing(b[5])}, nil
}

// Describe reads the parameters of a recipe. It fails with [ErrRecipe] if this
// version cannot rebuild with them.
func Describe(params []byte) (Choice, error) {
	ch, err := parseParams(params)
	if err != nil {
		return Choice{}, err
	}
	if _, _, _, err := ch.models(); err != nil {
		return Choice{}, err
	}
	return ch, nil
}
