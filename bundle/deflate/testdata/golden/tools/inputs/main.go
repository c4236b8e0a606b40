// Inputs writes the inputs of the golden vectors to a folder.
//
//	inputs FOLDER
package main

import (
	"log"
	"os"
	"path/filepath"

	"bale/bundle/deflate/testdata/golden/inputs"
)

func main() {
	for _, name := range inputs.Names {
		if err := os.WriteFile(filepath.Join(os.Args[1], name), inputs.Make(name), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
