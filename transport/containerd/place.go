package containerd

import (
	"os"
	"strings"

	"github.com/containerd/containerd/v2/pkg/identifiers"
	"github.com/containerd/containerd/v2/pkg/namespaces"

	"bale/bundle/fault"
)

// Kubernetes is the namespace in which a node's kubelet finds its images.
const Kubernetes = "k8s.io"

// Split takes what follows "containerd:" to pieces: what comes before the first
// slash is the namespace, always, and the rest selects an image of it by
// Docker's rules or by digest; without a slash there is no more than the
// namespace. An empty namespace stands for that of CONTAINERD_NAMESPACE or, if
// that is not set either, "default".
//
//	containerd:k8s.io                 all images of k8s.io
//	containerd:k8s.io/nginx:1         docker.io/library/nginx:1 in k8s.io
//	containerd:/nginx:1               the same in the usual namespace
//
// No guess is made at whether a first part is a namespace or a registry's host:
// k8s.io could be either.
func Split(place string) (namespace, selector string, err error) {
	namespace, selector, found := strings.Cut(place, "/")
	namespace = usualNamespace(namespace)
	if found && selector == "" {
		return "", "", placeHint(fault.Usage("place containerd:%s names no image after the slash", place))
	}
	if err := checkNamespace(namespace); err != nil {
		return "", "", err
	}
	return namespace, selector, nil
}

func usualNamespace(s string) string {
	if s == "" {
		s = os.Getenv(namespaces.NamespaceEnvVar)
	}
	if s == "" {
		s = namespaces.Default
	}
	return s
}

func checkNamespace(s string) error {
	if err := identifiers.Validate(s); err != nil {
		return placeHint(fault.Usage("%.100q cannot be a namespace of containerd", s))
	}
	return nil
}

func placeHint(err error) error {
	return fault.WithHint(err, "the namespace comes first: containerd:k8s.io/docker.io/library/nginx:1 is an image on a Kubernetes node, containerd:default/nginx:1 one of ctr's; containerd:k8s.io is all of a namespace")
}
