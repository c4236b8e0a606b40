package registry

import (
	"slices"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/credentials"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"

	"bale/bundle/fault"
)

// maxAuthFile is the greatest size of a file with credentials.
const maxAuthFile = 4 << 20

// tokenUser is the user name that marks a password as an identity token, by
// the protocol of Docker's credential helpers.
const tokenUser = "<token>"

// authFile is a file in the form of Docker's config.json, of which the
// auth.json of the containers tools is a part.
type authFile struct {
	*configfile.ConfigFile
	names []string // the keys of its accounts, sorted
}

// readAuthFile reads a place. Its errors never repeat what stands in it.
func readAuthFile(p authPlace) (*authFile, error) {
	content := p.content
	if p.path != "" {
		b, err := readConfig(p.what, p.path, maxAuthFile)
		if err != nil {
			return nil, err
		}
		content = string(b)
	}
	f, err := config.LoadFromReader(strings.NewReader(content))
	if err != nil {
		where := p.what
		if p.path != "" {
			where += " " + p.path
		}
		return nil, fault.WithHint(fault.Usage("%s is malformed: %w", where, err), "docker login writes a new one")
	}
	a := &authFile{ConfigFile: f}
	for name := range f.AuthConfigs {
		a.names = append(a.names, name)
	}
	slices.Sort(a.names) // of several forms of one name, always the same counts
	return a, nil
}

// account returns what the file itself holds under a key, nil if nothing.
func (f *authFile) account(key string) *authn.AuthConfig {
	if a := accountOf(f.AuthConfigs[key]); a != nil {
		return a
	}
	for _, name := range f.names {
		// Old files have addresses in the place of names: https://host/v1/.
		if strings.Contains(name, "://") && credentials.ConvertToHostname(name) == key {
			if a := accountOf(f.AuthConfigs[name]); a != nil {
				return a
			}
		}
	}
	return nil
}

// accountOf returns nil for an entry that says only that there is one in a
// credential store.
func accountOf(c types.AuthConfig) *authn.AuthConfig {
	if c.Username == "" && c.IdentityToken == "" && c.RegistryToken == "" {
		return nil
	}
	return &authn.AuthConfig{
		Username: c.Username, Password: c.Password,
		IdentityToken: c.IdentityToken, RegistryToken: c.RegistryToken,
	}
}
