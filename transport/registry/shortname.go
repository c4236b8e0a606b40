package registry

import (
	"strings"

	"bale/bundle/fault"
	"bale/transport"
)

// ParseName reads an image's name by Docker's rules. Where the user has named a
// registries.conf, its aliases and its unqualified-search-registries say what a
// bare name means.
func (c *Client) ParseName(s string) (transport.Name, error) {
	n, err := transport.ParseName(s)
	if err != nil || c.opts.RegistriesConf == "" || !isShort(s) {
		return n, err
	}
	set, err := c.places.load()
	if err != nil {
		return transport.Name{}, err
	}
	short, _, _ := strings.Cut(s, "@")
	if at := strings.LastIndexByte(short, ':'); at > strings.LastIndexByte(short, '/') {
		short = short[:at]
	}
	full, ok := set.conf.aliases[short]
	if !ok {
		switch len(set.conf.search) {
		case 0:
			return n, nil
		case 1:
			full = set.conf.search[0] + "/" + short
		default:
			return transport.Name{}, fault.WithHint(fault.Usage("%s may be an image of any of %s", s, strings.Join(set.conf.search, ", ")),
				"put the registry in front of the name, or set an alias in %s", c.opts.RegistriesConf)
		}
	}
	named, err := transport.ParseName(full)
	if err != nil {
		return transport.Name{}, err
	}
	named.Tag, named.Digest = n.Tag, n.Digest
	return named, nil
}
