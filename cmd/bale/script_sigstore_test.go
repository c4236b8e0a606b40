package main

import (
	"encoding/pem"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"

	"bale/transport/parts"
)

// cmdSigstore starts a private Sigstore: Fulcio, Rekor, a timestamp authority and
// an issuer of tokens. Into variables go the files VAR_CONFIG, VAR_ROOT, VAR_CHAIN
// (of the timestamp authority) and VAR_TOKEN (for the e-mail address), and the
// addresses VAR_TSA and VAR_ISSUER.
func cmdSigstore(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sigstore VAR EMAIL")
	}
	t := testOf(ts)
	p := parts.Sigstore(t)
	var chain []byte
	for _, der := range parts.TSAChain(t, p.TSA) {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	dir := t.TempDir() // a token stays out of the folder that a script looks at
	for name, data := range map[string][]byte{"tsa.pem": chain, "token": []byte(p.Issuer.Token(t, args[1]))} {
		ts.Check(os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	for name, value := range map[string]string{
		"CONFIG": p.SigningConfig, "ROOT": p.TrustedRoot, "ISSUER": p.Issuer.URL, "TSA": p.TSA,
		"CHAIN": filepath.Join(dir, "tsa.pem"), "TOKEN": filepath.Join(dir, "token"),
	} {
		ts.Setenv(args[0]+"_"+name, value)
	}
}
