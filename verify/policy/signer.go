package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"bale/sign"
	"bale/verify"
	"bale/verify/keyring"
)

// maxName is the greatest length of the name of a signer or role, in bytes.
const maxName = 64

// maxInline is the greatest size of a key that stands in the file, in bytes.
const maxInline = 32 << 10

// named is what signers and roles may be called.
var named = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@+-]*$`)

// The fields of the file's objects, in the order that messages list them.
var (
	signerFields      = []string{"key", "publicKey", "fingerprint", "keyless", "certificate"}
	keylessFields     = []string{"trustedRoot", "identity", "identityRegexp", "issuer", "issuerRegexp"}
	certificateFields = []string{"ca", "timestampAuthority", "identity", "identityRegexp", "issuer", "issuerRegexp"}
)

// signer is somebody whom the policy knows.
type signer struct {
	name    string
	node    *yaml.Node
	several bool // members are a list
	members []verify.Authority
	ids     []string // of keys that stay the same
	used    bool
}

// signers reads who is known.
func (l *loader) readSigners(n *yaml.Node) {
	list, _ := l.mapping(n, "signers")
	if len(list) == 0 && n.Kind == yaml.MappingNode {
		l.bad(n, "signers is empty")
	}
	holders := make(map[string]*signer)
	for _, f := range list {
		l.checkName(f.key, "signer")
		s := &signer{name: f.key.Value, node: f.key}
		l.signers[s.name] = s
		l.p.signers = append(l.p.signers, s)
		ways := []*yaml.Node{f.value}
		if f.value.Kind == yaml.SequenceNode {
			ways = l.list(f.value, "signer "+s.name)
			s.several = len(ways) > 1
		}
		for _, w := range ways {
			l.readWay(s, w)
		}
		for _, id := range s.ids {
			if other := holders[id]; other != nil && other != s {
				l.badHint(f.key, "one key is one signer; give each a key of their own",
					"signer %s has the same key or certificate as %s (line %d)", s.name, other.name, other.node.Line)
				break
			}
			holders[id] = s
		}
	}
}

func (l *loader) checkName(n *yaml.Node, what string) {
	if len(n.Value) > maxName || !named.MatchString(n.Value) {
		l.badHint(n, "use letters, digits and . _ @ + -", "%q is not a name for a %s", verify.Clip(n.Value), what)
	}
}

// readWay reads one way in which a signer signs.
func (l *loader) readWay(s *signer, n *yaml.Node) {
	o, ok := l.object(n, "signer "+s.name, signerFields)
	if !ok {
		return
	}
	var ways []string
	for _, f := range []string{"key", "publicKey", "keyless", "certificate"} {
		if o.fields[f] != nil {
			ways = append(ways, f)
		}
	}
	if len(ways) != 1 {
		has := "none"
		if len(ways) > 1 {
			has = strings.Join(ways, " and ")
		}
		l.badHint(n, "several keys of one signer are a list: [{key: old.pub}, {key: new.pub}]",
			"signer %s must have one of key, publicKey, keyless, certificate, and has %s", s.name, has)
		return
	}
	at := o.fields[ways[0]]
	pin := o.fields["fingerprint"]
	if pin != nil && (ways[0] == "keyless" || ways[0] == "certificate") {
		l.bad(pin, "a fingerprint is for key and publicKey: with %s the key changes each time", ways[0])
		return
	}
	switch ways[0] {
	case "key":
		if data, path, ok := l.file(at, "key"); ok {
			l.addKeys(s, at, pin, data, path)
		}
	case "publicKey":
		if text, ok := l.block(at, "publicKey", maxInline); ok {
			l.addKeys(s, at, pin, []byte(text), "publicKey")
		}
	case "keyless":
		l.addKeyless(s, at)
	case "certificate":
		l.addCertificate(s, at)
	}
}

// addKeys adds the one key that data has, or the one of a fingerprint.
func (l *loader) addKeys(s *signer, at, pin *yaml.Node, data []byte, from string) {
	keys, err := keyring.Keys(data)
	if err != nil {
		l.badFrom(at, err, "%s", from)
		return
	}
	if pin != nil {
		want, ok := l.text(pin, "fingerprint")
		if !ok {
			return
		}
		var has []string
		found := slices.DeleteFunc(slices.Clone(keys), func(k keyring.Key) bool {
			has = append(has, k.Identity.Fingerprint)
			return !sameFingerprint(k.Identity, want)
		})
		if len(found) != 1 {
			l.bad(pin, "%s has no key with the fingerprint %s, but %s", from, want, listed(has))
			return
		}
		keys = found
	}
	if len(keys) != 1 {
		l.badHint(at, "say which with fingerprint, or make a signer of each", "%s has %d keys, and a signer has one", from, len(keys))
		return
	}
	l.add(s, keys[0].Authority, keys[0].IDs...)
}

// add adds a member to a signer.
func (l *loader) add(s *signer, a verify.Authority, ids ...string) {
	s.members = append(s.members, newMember(s.name, a, s.several))
	s.ids = append(s.ids, ids...)
}

// sameFingerprint compares a fingerprint with what somebody wrote down: those of
// OpenPGP come with spaces and in small letters too.
func sameFingerprint(i sign.Identity, text string) bool {
	if i.Kind == sign.KindOpenPGP {
		return i.Fingerprint != "" && strings.EqualFold(i.Fingerprint, strings.TrimPrefix(strings.ReplaceAll(text, " ", ""), "0x"))
	}
	return i.Fingerprint != "" && i.Fingerprint == text
}

// listed names the first of some things.
func listed(list []string) string {
	const most = 5
	if n := len(list) - most; n > 0 {
		return strings.Join(list[:most], ", ") + fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(list, ", ")
}
