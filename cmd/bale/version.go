package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"bale/bundle"
	"bale/sign/kms"
)

// version is set when a release is built.
var version = "0.1.0"

func newVersion(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version of bale and of the format it reads and writes",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version  string   `json:"version"`
				Format   int      `json:"format"`
				Go       string   `json:"go"`
				System   string   `json:"system"`
				Services []string `json:"keyServices"` // whose keys sign
			}{version, bundle.Version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, append([]string{}, kms.Providers()...)}
			return a.result(v, func(w io.Writer) {
				fmt.Fprintf(w, "bale %s, bundle format %d, %s, %s\n", v.Version, v.Format, v.Go, v.System)
				if len(v.Services) > 0 {
					fmt.Fprintf(w, "key services built in: %s\n", strings.Join(v.Services, ", "))
				}
			})
		},
	}
	a.jsonFlag(c)
	return c
}
