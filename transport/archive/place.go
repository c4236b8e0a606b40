package archive

import "bale/transport/layout"

// Split takes what follows "docker-archive:" to pieces: a file and, after the
// first colon, what selects one image of it ("" if there is no colon).
func Split(place string) (file, ref string, err error) {
	return layout.SplitFile("docker-archive", place)
}
