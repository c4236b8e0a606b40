package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"bale/bundle/fault"
	"bale/transport/registry"
)

// connection says how registries and engines are reached.
type connection struct {
	plainHTTP  bool
	tlsVerify  bool
	caFile     string
	certFile   string
	keyFile    string
	authFile   string
	registries string // registries.conf
	daemon     string // daemon.json
	certDirs   []string
	chunk      int64
	account    account

	host        string
	hosted      *bool  // whether the engine of host is Podman; nil until one is opened
	containerd  string // socket
	snapshotter string
}

// account is who the user is at a registry, if a login is not to be used.
type account struct {
	flag     string // prefix of the flags
	username string
	stdin    bool // the password comes through standard input
	password string
}

func (f *connection) add(c *cobra.Command) {
	fl := c.Flags()
	fl.BoolVar(&f.plainHTTP, "plain-http", false, "reach registries without TLS (loopback needs no permission)")
	fl.BoolVar(&f.tlsVerify, "tls-verify", true, "check the certificates of registries")
	fl.StringVar(&f.caFile, "ca-file", "", "PEM `FILE` of certificates to trust beside the system's and those in certs.d folders")
	fl.StringVar(&f.certFile, "cert-file", "", "PEM `FILE` of a certificate to show to registries that ask for one")
	fl.StringVar(&f.keyFile, "key-file", "", "PEM `FILE` of the key of --cert-file")
	fl.StringArrayVar(&f.certDirs, "cert-dir", nil, "`FOLDER` with certificates of single registries (HOST[:PORT]/ca.crt, *.cert, *.key), in place of certs.d in /etc/docker, /etc/containers and ~/.config")
	fl.StringVar(&f.authFile, "authfile", "", "`FILE` of credentials, in place of those that docker login and podman login kept")
	fl.StringVar(&f.registries, "registries-conf", "", "registries.conf `FILE` for mirrors, locations and short names, in place of the machine's own")
	fl.StringVar(&f.daemon, "daemon-config", "", "daemon.json `FILE` of Docker whose registry-mirrors are asked before Docker Hub, in place of the machine's own")
	fl.StringVar(&f.host, "host", "", "`ADDRESS` of the engine (a socket's path, unix://, tcp://, ssh://), in place of DOCKER_HOST, CONTAINER_HOST and the Docker context")
	fl.StringVar(&f.containerd, "containerd-address", "", "`SOCKET` of containerd, in place of CONTAINERD_ADDRESS")
	f.account.add(c, "")
}

func (a *account) add(c *cobra.Command, prefix string) {
	a.flag = prefix
	of := "the registry"
	if prefix != "" {
		of = "the registry that is read"
	}
	c.Flags().StringVar(&a.username, prefix+"username", "", "account at "+of+", in place of the one that a login kept")
	c.Flags().BoolVar(&a.stdin, prefix+"password-stdin", false, "read the password of --"+prefix+"username from standard input")
}

// engine returns the address of an engine, if one was given. It is that of one
// engine: what is meant for Podman must not end in Docker.
func (f *connection) engine(podman bool) (string, error) {
	if f.host == "" {
		return "", nil
	}
	if f.hosted != nil && *f.hosted != podman {
		return "", fault.WithHint(fault.Usage("--host cannot be the address of both %s and %s", dockerPrefix, podmanPrefix),
			"name them with DOCKER_HOST and CONTAINER_HOST")
	}
	f.hosted = &podman
	return f.host, nil
}

// addWriting adds what only matters where images are written.
func (f *connection) addWriting(c *cobra.Command) {
	c.Flags().StringVar(&f.snapshotter, "snapshotter", "", "unpack images that are written to containerd with snapshotter `NAME` (overlayfs), in place of when they are first run")
	c.Flags().Int64Var(&f.chunk, "upload-chunk-size", 0, "send blobs to registries in requests of at most so many `BYTES` (0: one request)")
}

// read reads the password, if there is one to be read.
func (a *account) read(ctx context.Context, from *app) (err error) {
	switch {
	case a.stdin && a.username == "":
		return fault.Usage("--%spassword-stdin needs --%susername", a.flag, a.flag)
	case a.username != "" && !a.stdin:
		return fault.WithHint(fault.Usage("--%susername needs a password", a.flag), "give it with --%spassword-stdin: it must not stand on a command line", a.flag)
	case a.stdin && a.password == "":
		a.password, err = from.stdinPassword(ctx)
	}
	return err
}

// client returns a client for registries.
func (p *placing) client(ctx context.Context) (*registry.Client, error) {
	f := p.conn
	if !f.tlsVerify && f.caFile != "" {
		return nil, fault.Usage("--ca-file and --tls-verify=false exclude each other")
	}
	for _, dir := range f.certDirs {
		if _, err := os.Stat(dir); err != nil {
			return nil, fault.Usage("--cert-dir: %w", err)
		}
	}
	if f.chunk < 0 {
		return nil, fault.Usage("--upload-chunk-size %d: a number of bytes, or 0", f.chunk)
	}
	if err := f.account.read(ctx, p.app); err != nil {
		return nil, err
	}
	// No folder given is the usual ones; an empty list would be none.
	return registry.NewClient(registry.Options{
		CertDirs:  f.certDirs,
		PlainHTTP: f.plainHTTP, SkipTLSVerify: !f.tlsVerify, CAFile: f.caFile, CertFile: f.certFile, KeyFile: f.keyFile,
		Username: f.account.username, Password: f.account.password, AuthFile: f.authFile, RegistriesConf: f.registries, DaemonConfig: f.daemon,
		ChunkSize: f.chunk, UserAgent: "bale/" + version,
		Note: func(format string, args ...any) { p.note(fmt.Sprintf(format, args...)) },
	})
}
