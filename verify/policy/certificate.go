package policy

import (
	"crypto/x509"
	"fmt"
	"regexp"

	"go.yaml.in/yaml/v3"

	"bale/verify/certificate"
)

// addKeyless adds whom a Sigstore instance vouches for.
func (l *loader) addKeyless(s *signer, n *yaml.Node) {
	o, ok := l.object(n, "keyless of signer "+s.name, keylessFields)
	if !ok {
		return
	}
	who, ok := l.identity(o)
	if who.Issuer == "" && who.IssuerRegexp == "" && ok {
		l.badHint(n, "for example issuer: https://token.actions.githubusercontent.com", "keyless has no issuer that vouches for the identity")
		ok = false
	}
	at := o.fields["trustedRoot"]
	if at == nil {
		l.badHint(n, "trustedRoot names the file trusted_root.json of a Sigstore instance", "keyless has no trustedRoot")
		return
	}
	data, path, there := l.file(at, "trustedRoot")
	if !there || !ok {
		return
	}
	root := l.roots[path]
	if root == nil {
		var err error
		if root, err = certificate.ParseTrustedRoot(data); err != nil {
			l.badFrom(at, err, "%s", path)
			return
		}
		l.roots[path] = root
	}
	l.addIdentity(s, n, root, who, path)
}

// addCertificate adds whom an organisation's own CA vouches for.
func (l *loader) addCertificate(s *signer, n *yaml.Node) {
	o, ok := l.object(n, "certificate of signer "+s.name, certificateFields)
	if !ok {
		return
	}
	who, ok := l.identity(o)
	at := o.fields["ca"]
	if at == nil {
		l.badHint(n, "ca lists the files with the CA's certificates", "certificate has no ca")
		return
	}
	cas, from, fine := l.certificates(at, "ca")
	ok = ok && fine
	var tsas []*x509.Certificate
	if f := o.fields["timestampAuthority"]; f != nil {
		list, more, fine := l.certificates(f, "timestampAuthority")
		tsas, from, ok = list, from+" "+more, ok && fine
	}
	if !ok {
		return
	}
	root, err := certificate.NewRoot(cas, nil, tsas)
	if err != nil {
		l.badFrom(at, err, "%s", from)
		return
	}
	l.addIdentity(s, n, root, who, from)
}

// addIdentity adds somebody by what their certificates say.
func (l *loader) addIdentity(s *signer, n *yaml.Node, root *certificate.Root, who certificate.Identity, from string) {
	a, err := certificate.New(root, who, certificate.Options{})
	if err != nil {
		l.badFrom(n, err, "signer %s", s.name)
		return
	}
	l.add(s, a, fmt.Sprintf("identity:%q %q", from, who))
}

// identity reads whose certificates count.
func (l *loader) identity(o *object) (who certificate.Identity, ok bool) {
	ok = true
	for _, f := range []struct {
		name string
		to   *string
	}{
		{"identity", &who.Subject}, {"identityRegexp", &who.SubjectRegexp},
		{"issuer", &who.Issuer}, {"issuerRegexp", &who.IssuerRegexp},
	} {
		n := o.fields[f.name]
		if n == nil {
			continue
		}
		text, fine := l.text(n, f.name)
		if fine && (f.to == &who.SubjectRegexp || f.to == &who.IssuerRegexp) {
			if _, err := regexp.Compile(text); err != nil {
				l.bad(n, "%s: %w", f.name, err)
				fine = false
			}
		}
		*f.to, ok = text, ok && fine
	}
	for _, pair := range [][2]string{{"identity", "identityRegexp"}, {"issuer", "issuerRegexp"}} {
		if n := o.fields[pair[1]]; n != nil && o.fields[pair[0]] != nil {
			l.bad(n, "%s and %s exclude each other", pair[0], pair[1])
			ok = false
		}
	}
	if o.fields["identity"] == nil && o.fields["identityRegexp"] == nil {
		l.badHint(o.node, "anybody can have a certificate: say whose counts", "there is no identity or identityRegexp")
		ok = false
	}
	return who, ok
}

// certificates reads a list of files with certificates. from are their names.
func (l *loader) certificates(n *yaml.Node, what string) (list []*x509.Certificate, from string, ok bool) {
	ok = true
	files := l.list(n, what)
	for _, f := range files {
		data, path, there := l.file(f, what)
		if !there {
			ok = false
			continue
		}
		some, err := certificate.ParseCertificates(data)
		if err != nil {
			l.badFrom(f, err, "%s", path)
			ok = false
			continue
		}
		list, from = append(list, some...), from+path+" "
	}
	return list, from, ok && len(files) > 0
}
