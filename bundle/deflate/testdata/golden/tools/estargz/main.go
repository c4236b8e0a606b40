// Estargz writes a tar archive as eStargz does: a gzip member for each run of
// tar headers and one for each file's content, and at the end a member without
// content whose extra field says where the table of contents is.
//
//	estargz LEVEL <tar >gz
package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
)

func main() {
	level, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	raw, err := io.ReadAll(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	var out bytes.Buffer
	write := func(extra, part []byte) {
		z, err := gzip.NewWriterLevel(&out, level)
		if err != nil {
			log.Fatal(err)
		}
		z.Extra = extra
		if _, err := z.Write(part); err != nil {
			log.Fatal(err)
		}
		if err := z.Close(); err != nil {
			log.Fatal(err)
		}
	}
	from := 0
	for at := 512; at < len(raw); at += 512 {
		if isHeader(raw[at:]) || isHeader(raw[at-512:]) {
			write(nil, raw[from:at])
			from = at
		}
	}
	write(nil, raw[from:])
	write(fmt.Appendf([]byte("SG\x16\x00"), "%016xSTARGZ", out.Len()), nil)
	if _, err := out.WriteTo(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// isHeader reports whether a tar header with content after it begins here.
func isHeader(b []byte) bool {
	return len(b) >= 512 && string(b[257:262]) == "ustar" && b[156] == '0'
}
