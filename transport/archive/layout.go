package archive

import (
	"encoding/json"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// CloseLayout ends the tar as an OCI layout (image-spec, image-layout.md) in place
// of [Writer.Close]: the blobs are where that has them, too. Engines take an index
// that names what they have and the tar has not.
func (w *Writer) CloseLayout(index v1.Index) error {
	for _, f := range []struct {
		name    string
		content any
	}{
		{v1.ImageLayoutFile, v1.ImageLayout{Version: v1.ImageLayoutVersion}},
		{v1.ImageIndexFile, index},
	} {
		b, err := json.Marshal(f.content)
		if err != nil {
			return err
		}
		if err := w.file(f.name, b); err != nil {
			return err
		}
	}
	return w.end()
}
