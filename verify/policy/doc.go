// Package policy reads the file in which an organisation writes down whose
// signatures which bundles need, and what else is demanded of them, and decides
// by it. Nothing that the file does not allow is accepted: a bundle whose name
// no rule is for is refused.
//
// The file is YAML of a strict kind ([Parse]); [Schema] is its JSON Schema and
// [Example] a file to begin with. Five words make it up:
//
//   - version: 1, always there
//   - signers: who is known, by name, and by which key or certificate
//   - roles: some signers, and how many different ones of them are needed
//   - bundles: rules for bundles by their signed name; the first that fits decides
//   - images: rules for images by their name, about the signatures that they
//     carry; the first that fits decides
//
// A bundle is decided about in steps, since nothing is parsed before it is
// trusted:
//
//  1. [Policy.Trust] says whose signatures are needed; package verify looks at
//     them. Each rule is an alternative, since the name of the bundle is not
//     known yet.
//  2. [Policy.CheckHeader], when bale.json may be read: the first rule that the
//     bundle's name fits must be one of those whose signatures are there. Then
//     sequence, age and expiry.
//  3. [Rule.CheckImages], when the index may be read: names and platforms.
//  4. [Policy.Requirement] says what signatures an image must carry.
//
// # Names of bundles
//
// A name is what the pattern says, letter for letter; * stands for any text, also
// for none. A pattern never fits a bundle without a name: for those a rule says
// unnamed: true.
//
// # Names of images
//
// A pattern is HOST/PATH, with :TAG, with @DIGEST, or with both, and is compared
// with the name in full: nginx is docker.io/library/nginx:latest.
//
//   - HOST is compared as it stands, with its port, but for upper and lower
//     case. It has no * in it.
//   - In PATH, * stands for any text without a slash, also for none, and ** for
//     one or more whole parts between slashes.
//   - In TAG, * stands for any text, also for none. Without :TAG any tag will do,
//     and so will none; with it a name without a tag does not fit.
//   - DIGEST is that of the image, whether its name says so or not.
//   - ** in place of HOST/PATH is every image.
//
// In a list of what is denied, a HOST without a port is that host with any port.
// What is attached to an image (a signature, an SBOM) is named by the repository
// alone: tags and digests in patterns say nothing about it.
package policy
