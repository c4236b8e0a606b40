package sign

import "regexp"

var (
	// secretName is a variable of the environment whose value is not for others.
	secretName = regexp.MustCompile(`(?i)(TOKEN|SECRET|PASSW|PASSPHRASE|ACCESS_KEY|API_KEY|PIN$)`)
	// fileName is one that says where the secret is.
	fileName = regexp.MustCompile(`(?i)(FILE|PATH|DIR)$`)
)

// IsSecretName tells by its name whether a variable of the environment holds a
// secret: neither messages nor other programs are to have its value.
func IsSecretName(name string) bool {
	return secretName.MatchString(name) && !fileName.MatchString(name)
}
