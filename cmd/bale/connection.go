package main

import (
	"github.com/spf13/cobra"

	"bale/bundle/fault"
	"bale/transport/registry"
)

// connection says how registries are reached.
type connection struct {
	plainHTTP bool
	tlsVerify bool
	caFile    string
}

func (f *connection) add(c *cobra.Command) {
	c.Flags().BoolVar(&f.plainHTTP, "plain-http", false, "reach registries without TLS (loopback needs no permission)")
	c.Flags().BoolVar(&f.tlsVerify, "tls-verify", true, "check the certificates of registries")
	c.Flags().StringVar(&f.caFile, "ca-file", "", "PEM `FILE` of certificates to trust beside the system's")
}

// client returns a client for registries. Credentials are those of docker
// login, credential helpers included.
func (f *connection) client() (*registry.Client, error) {
	if !f.tlsVerify && f.caFile != "" {
		return nil, fault.Usage("--ca-file and --tls-verify=false exclude each other")
	}
	return registry.NewClient(registry.Options{
		PlainHTTP: f.plainHTTP, SkipTLSVerify: !f.tlsVerify, CAFile: f.caFile, UserAgent: "bale/" + version,
	})
}
