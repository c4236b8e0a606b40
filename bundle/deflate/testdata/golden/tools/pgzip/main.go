// Pgzip writes its input as gzip in blocks of a size, with the pgzip and the
// klauspost/compress of the module that it is built in.
//
//	pgzip LEVEL BLOCK <raw >gz
package main

import (
	"io"
	"log"
	"os"
	"strconv"

	"github.com/klauspost/pgzip"
)

func main() {
	level, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	block, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	z, err := pgzip.NewWriterLevel(os.Stdout, level)
	if err != nil {
		log.Fatal(err)
	}
	if err := z.SetConcurrency(block, 2); err != nil {
		log.Fatal(err)
	}
	if _, err := io.Copy(z, os.Stdin); err != nil {
		log.Fatal(err)
	}
	if err := z.Close(); err != nil {
		log.Fatal(err)
	}
}
