package registry

import "github.com/google/go-containerregistry/pkg/name"

// Docker Hub has one name for people and others for machines.
const (
	hub      = "docker.io"
	hubIndex = name.DefaultRegistry                       // as the library has it
	hubURL   = "https://" + name.DefaultRegistry + "/v1/" // as docker login has it
	hubHost  = "registry-1.docker.io"                     // where it is

)

// domainOf returns the domain of image names for the host of an address.
func domainOf(host string) string {
	switch host {
	case hubIndex, hubHost:
		return hub
	}
	return host
}
