// Package registry is the docker:// place: images in a registry that speaks
// the OCI distribution spec.
//
// It stands on go-containerregistry for names, the greeting of a registry and
// the exchange of tokens, and on Docker's own packages for its config and
// credential helpers. What these leave open is settled here: plain http is never
// used towards another machine unless it was asked for, tokens are renewed
// before and after they end, requests are tried again and streams go on where
// they broke, everything read is bounded, digests are compared wherever the
// registry names one, and every failure says what to do next.
//
// Content is read from where registries.conf and Docker's daemon.json say
// ([Options.RegistriesConf], [Options.DaemonConfig]), and written where its name
// says.
package registry
